#pragma once
// What a config opens: its sources, its tokenizer, its model. Used by training, the plan, and every
// verb that works on a run.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"
#include "tandem/data/order.h"
#include "tandem/data/source.h"
#include "tandem/models/model.h"
#include "tandem/text/tokenizer.h"

namespace tandem::train {

using SourceMap = std::map<std::string, std::shared_ptr<const data::Source>>;

// Of the names that `config` uses in any stage or evaluation. Throws Error(data).
SourceMap open_sources(const config::RunConfig& config);

// The file or the directory that the config names, else the one of `pretrained`, else one trained
// on the captions of the stages' sources (the same on every rank). `kept`: a folder that may hold
// the trained one of an earlier start; empty: none.
text::Tokenizer make_tokenizer(const config::RunConfig& config, const SourceMap& sources,
                               const std::filesystem::path& kept);

// How many tokens a text has, marks included, whatever the model's length.
std::int64_t tokens_of(const text::Tokenizer& tokenizer, const std::string& text);

struct Parts {
  const models::Family* family = nullptr;
  std::shared_ptr<Settings> settings{};
  std::shared_ptr<const text::Tokenizer> tokenizer{};
  std::unique_ptr<models::Model> model{};
  models::Processor processor{};
};

// The model on the CPU: initialised from the seed, then the weights of `pretrained` where named.
Parts make_parts(const config::RunConfig& config, text::Tokenizer tokenizer);

// What a stage asks of its model.
models::LossRequest loss_request(const config::StageConfig& stage);

// Every stage against the model, before anything is trained: rules that catch nothing, losses that
// the model does not have, batches that the ranks do not divide. One Error(config) with all of
// them.
void check_stages(const config::RunConfig& config, const models::Model& model, int ranks);

// A stage's sources in the order of its mix, and the order over them.
struct StageData {
  std::vector<std::string> names{};
  std::vector<std::shared_ptr<const data::Source>> sources{};
  data::Order order;
};
StageData stage_data(const config::RunConfig& config, std::size_t stage, const SourceMap& sources);

}  // namespace tandem::train
