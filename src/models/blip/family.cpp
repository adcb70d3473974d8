#include "models/blip/batch.h"
#include "models/blip/config.h"
#include "models/blip/model.h"
#include "models/blip/weights.h"
#include "models/families.h"

namespace tandem::models {

Family blip_family() {
  Family family;
  family.name = "blip";
  family.architectures = {"BLIP_Pretrain",
                          "BlipForConditionalGeneration",
                          "BlipForQuestionAnswering",
                          "BlipForImageTextRetrieval",
                          "BlipModel",
                          "BLIP_NLVR",
                          "BLIP_Retrieval"};
  family.vocabulary = "wordpiece";
  family.settings = [] { return std::make_unique<blip::Config>(); };
  family.from_config_json = blip::from_config_json;
  family.to_config_json = blip::to_config_json;
  family.processor_files = blip::processor_files;
  family.read_processor_file = blip::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    return std::make_unique<blip::BlipModel>(blip::config_of(settings), init);
  };
  family.processor = blip::make_processor;
  family.fit_vocabulary = blip::fit_vocabulary;
  family.rows.words = {"embeddings.word_embeddings.weight", "cls.predictions.bias",
                       "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"};
  family.rows.places = {"embeddings.position_embeddings.weight"};
  family.import_weights = blip::import_weights;
  return family;
}

}  // namespace tandem::models
