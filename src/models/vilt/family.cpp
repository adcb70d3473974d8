#include "models/families.h"
#include "models/vilt/batch.h"
#include "models/vilt/config.h"
#include "models/vilt/model.h"
#include "models/vilt/weights.h"

namespace tandem::models {

Family vilt_family() {
  Family family;
  family.name = "vilt";
  family.architectures = vilt::classes();
  family.vocabulary = "wordpiece";
  family.settings = [] { return std::make_unique<vilt::Config>(); };
  family.from_config_json = vilt::from_config_json;
  family.to_config_json = vilt::to_config_json;
  family.processor_files = vilt::processor_files;
  family.read_processor_file = vilt::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<vilt::ViltModel>(vilt::config_of(settings), init);
  };
  family.processor = vilt::make_processor;
  family.fit_vocabulary = vilt::fit_vocabulary;
  family.rows.words = {"word_embeddings.weight", "mlm_score.decoder.weight",
                       "mlm_score.decoder.bias"};
  family.rows.places = {"text_embeddings.position_embeddings.weight"};
  family.fit_answers = vilt::fit_answers;
  family.fit_weights = vilt::fit_weights;
  family.import_weights = vilt::import_weights;
  return family;
}

}  // namespace tandem::models
