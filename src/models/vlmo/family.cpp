#include "models/families.h"
#include "models/vlmo/batch.h"
#include "models/vlmo/config.h"
#include "models/vlmo/model.h"
#include "models/vlmo/weights.h"

namespace tandem::models {

Family vlmo_family() {
  Family family;
  family.name = "vlmo";
  family.architectures = {"VLMo"};
  family.settings = [] { return std::make_unique<vlmo::Config>(); };
  family.from_config_json = vlmo::from_config_json;
  family.to_config_json = vlmo::to_config_json;
  family.processor_files = vlmo::processor_files;
  family.read_processor_file = vlmo::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<vlmo::VlmoModel>(vlmo::config_of(settings), init);
  };
  family.processor = vlmo::make_processor;
  family.vocabulary = "wordpiece";
  family.fit_vocabulary = vlmo::fit_vocabulary;
  family.rows.words = {"word_embeddings.weight", "mlm_score.decoder.weight", "mlm_score.bias"};
  family.rows.places = {"text_embeddings.position_embeddings.weight"};
  family.fit_answers = vlmo::fit_answers;
  family.fit_weights = vlmo::fit_weights;
  family.import_weights = vlmo::import_weights;
  return family;
}

}  // namespace tandem::models
