#include "models/families.h"
#include "models/qwen2_vl/batch.h"
#include "models/qwen2_vl/config.h"
#include "models/qwen2_vl/model.h"
#include "models/qwen2_vl/weights.h"

namespace tandem::models {
namespace {

Family record_of(qwen2_vl::Version version) {
  Family family;
  family.name = qwen2_vl::family_of(version);
  family.architectures = {qwen2_vl::class_of(version)};
  family.vocabulary = "qwen";
  family.settings = [version] { return std::make_unique<qwen2_vl::Config>(version); };
  family.from_config_json = [version](const std::string& json) {
    return qwen2_vl::from_config_json(version, json);
  };
  family.to_config_json = qwen2_vl::to_config_json;
  family.processor_files = qwen2_vl::processor_files;
  family.read_processor_file = qwen2_vl::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<qwen2_vl::Qwen2VlModel>(qwen2_vl::config_of(settings), init);
  };
  family.processor = qwen2_vl::make_processor;
  family.fit_vocabulary = qwen2_vl::fit_vocabulary;
  family.rows.words = {"embed_tokens.weight", "lm_head.weight"};
  family.import_weights = qwen2_vl::import_weights;
  return family;
}

}  // namespace

Family qwen2_vl_family() { return record_of(qwen2_vl::Version::two); }
Family qwen25_vl_family() { return record_of(qwen2_vl::Version::two_five); }

}  // namespace tandem::models
