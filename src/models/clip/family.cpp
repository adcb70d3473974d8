#include "models/clip/batch.h"
#include "models/clip/config.h"
#include "models/clip/model.h"
#include "models/clip/weights.h"
#include "models/families.h"

namespace tandem::models {

Family clip_family() {
  Family family;
  family.name = "clip";
  family.architectures = {"CLIPModel"};
  family.settings = [] { return std::make_unique<clip::Config>(); };
  family.from_config_json = clip::from_config_json;
  family.to_config_json = clip::to_config_json;
  family.processor_files = clip::processor_files;
  family.read_processor_file = clip::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<clip::ClipModel>(clip::config_of(settings), init);
  };
  family.processor = clip::make_processor;
  family.fit_vocabulary = clip::fit_vocabulary;
  family.rows.words = {"token_embedding.weight"};
  family.rows.places = {"text_model.embeddings.position_embedding.weight"};
  family.import_weights = clip::import_weights;
  return family;
}

}  // namespace tandem::models
