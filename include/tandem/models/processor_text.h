#pragma once
// Where a Hugging Face directory says how pictures become numbers.

#include <filesystem>
#include <string>

namespace tandem::models {

// What Family::read_processor_file reads: the map `image_processor` of processor_config.json, as
// transformers 5 writes it, else preprocessor_config.json; "" where neither says it. Throws
// Error(config) for a processor_config.json that is no JSON map, Error(io) for a file that cannot
// be read. Source: transformers 5.17:image_processing_base.py, get_image_processor_dict.
std::string processor_text(const std::filesystem::path& folder);

}  // namespace tandem::models
