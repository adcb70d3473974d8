#include "models/blip2/batch.h"
#include "models/blip2/config.h"
#include "models/blip2/model.h"
#include "models/blip2/weights.h"
#include "models/families.h"

namespace tandem::models {

Family blip2_family() {
  Family family;
  family.name = "blip2";
  family.architectures = {"Blip2Qformer", "Blip2ForConditionalGeneration",
                          "Blip2ForImageTextRetrieval", "Blip2Model"};
  family.vocabulary = "wordpiece";
  family.settings = [] { return std::make_unique<blip2::Config>(); };
  family.from_config_json = blip2::from_config_json;
  family.to_config_json = blip2::to_config_json;
  family.processor_files = blip2::processor_files;
  family.read_processor_file = blip2::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<blip2::Blip2Model>(blip2::config_of(settings), init);
  };
  family.processor = blip2::make_processor;
  family.fit_vocabulary = blip2::fit_vocabulary;
  family.rows.words = {"embeddings.word_embeddings.weight", "cls.predictions.bias",
                       "embed_tokens.weight", "shared.weight", "lm_head.weight"};
  family.rows.places = {"embeddings.position_embeddings.weight", "embed_positions.weight"};
  family.fit_weights = blip2::fit_weights;
  family.import_weights = blip2::import_weights;
  return family;
}

}  // namespace tandem::models
