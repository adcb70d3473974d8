#pragma once
// Where a Hugging Face directory says how pictures become numbers.

#include <filesystem>
#include <string>

#include "tandem/models/model.h"

namespace tandem::models {

// What Family::read_processor_file reads: the map `image_processor` of processor_config.json, as
// transformers 5 writes it, else preprocessor_config.json; "" where neither says it. Throws
// Error(config) for a processor_config.json that is no JSON map, Error(io) for a file that cannot
// be read. Source: transformers 5.17:image_processing_base.py, get_image_processor_dict.
std::string processor_text(const std::filesystem::path& folder);

// The same into the settings; nothing where the family reads none or the folder says nothing.
void read_processor_text(const Family& family, Settings& settings,
                         const std::filesystem::path& folder);

}  // namespace tandem::models
