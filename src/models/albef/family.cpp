#include "models/albef/answering.h"
#include "models/albef/assignment.h"
#include "models/albef/batch.h"
#include "models/albef/config.h"
#include "models/albef/model.h"
#include "models/albef/tasks.h"
#include "models/albef/weights.h"
#include "models/families.h"

namespace tandem::models {

Family albef_family() {
  Family family;
  family.name = "albef";
  for (const albef::Kind kind :
       {albef::Kind::pretrain, albef::Kind::retrieval, albef::Kind::entailment,
        albef::Kind::assignment, albef::Kind::reasoning, albef::Kind::answering}) {
    family.architectures.push_back(albef::class_of(kind));
  }
  family.vocabulary = "wordpiece";
  family.settings = [] { return std::make_unique<albef::Config>(); };
  family.from_config_json = albef::from_config_json;
  family.to_config_json = albef::to_config_json;
  family.processor_files = albef::processor_files;
  family.read_processor_file = albef::read_processor_file;
  family.make = [](const Settings& settings, Key init) -> std::unique_ptr<Model> {
    const albef::Config& config = albef::config_of(settings);
    const albef::Kind kind = config.the_kind();
    if (kind == albef::Kind::pretrain || kind == albef::Kind::retrieval) {
      return std::make_unique<albef::AlbefModel>(config, init);
    }
    if (kind == albef::Kind::assignment) {
      return std::make_unique<albef::AssignmentModel>(config, init);
    }
    if (kind == albef::Kind::answering) return std::make_unique<albef::AnswerModel>(config, init);
    return std::make_unique<albef::TaskModel>(config, init);
  };
  family.processor = albef::make_processor;
  family.fit_weights = albef::fit_weights;
  family.fit_vocabulary = albef::fit_vocabulary;
  family.rows.words = {"embeddings.word_embeddings.weight", "cls.predictions.bias"};
  family.rows.places = {"embeddings.position_embeddings.weight"};
  family.import_weights = albef::import_weights;
  return family;
}

}  // namespace tandem::models
