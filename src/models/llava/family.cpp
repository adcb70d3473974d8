#include "models/families.h"
#include "models/llava/batch.h"
#include "models/llava/config.h"
#include "models/llava/model.h"
#include "models/llava/weights.h"

namespace tandem::models {

Family llava_family() {
  Family family;
  family.name = "llava";
  family.architectures = {"LlavaForConditionalGeneration", "LlavaLlamaForCausalLM"};
  family.vocabulary = "vicuna";
  family.settings = [] { return std::make_unique<llava::Config>(); };
  family.from_config_json = llava::from_config_json;
  family.to_config_json = llava::to_config_json;
  family.processor_files = llava::processor_files;
  family.read_processor_file = llava::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<llava::LlavaModel>(llava::config_of(settings), init);
  };
  family.processor = llava::make_processor;
  family.fit_vocabulary = llava::fit_vocabulary;
  family.rows.words = {"embed_tokens.weight", "lm_head.weight"};
  family.rows.places = {"embed_positions.weight"};
  family.fit_weights = llava::fit_weights;
  family.import_weights = llava::import_weights;
  return family;
}

}  // namespace tandem::models
