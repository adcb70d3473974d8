#include "models/families.h"
#include "models/qwen_vl/batch.h"
#include "models/qwen_vl/config.h"
#include "models/qwen_vl/model.h"
#include "models/qwen_vl/weights.h"

namespace tandem::models {

Family qwen_vl_family() {
  Family family;
  family.name = "qwen_vl";
  family.architectures = {"QWenLMHeadModel"};
  family.vocabulary = "qwen1";
  family.settings = [] { return std::make_unique<qwen_vl::Config>(); };
  family.from_config_json = qwen_vl::from_config_json;
  family.to_config_json = qwen_vl::to_config_json;
  // The released processor is code: no file says what it does.
  family.processor_files = [](const Settings&) {
    return std::vector<std::pair<std::string, std::string>>{};
  };
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<qwen_vl::QwenVlModel>(qwen_vl::config_of(settings), init);
  };
  family.processor = qwen_vl::make_processor;
  family.fit_vocabulary = qwen_vl::fit_vocabulary;
  family.rows.words = {"transformer.wte.weight", "lm_head.weight"};
  family.fit_weights = qwen_vl::fit_weights;
  family.import_weights = qwen_vl::import_weights;
  return family;
}

}  // namespace tandem::models
