#pragma once
// What a config opens: its sources, its tokenizer, its model. Used by training, the plan, and every
// verb that works on a run.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/config/run_config.h"
#include "tandem/data/order.h"
#include "tandem/data/source.h"
#include "tandem/models/model.h"
#include "tandem/text/tokenizer.h"

namespace tandem::train {

using SourceMap = std::map<std::string, std::shared_ptr<const data::Source>>;

// Of the names that `config` uses in any stage or evaluation. Throws Error(data); with `absent` it
// gets what is wrong with a source, which is left out.
SourceMap open_sources(
    const config::RunConfig& config,
    const std::function<void(const std::string& name, const Error& error)>& absent = {});
// Of a stage's mix.
std::vector<std::string> sources_of(const config::RunConfig& config,
                                    const config::StageConfig& stage);

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

// The model of a stage on the CPU, initialised from the seed, without weights from elsewhere.
// outline: names and shapes alone (models/outline.h).
Parts make_parts(const config::RunConfig& config, std::size_t stage,
                 std::shared_ptr<const text::Tokenizer> tokenizer, const SourceMap& sources,
                 bool outline = false);

// The outlines of the models of all stages; a stage that goes on with the model of the stage before
// shares its.
std::vector<std::shared_ptr<Parts>> outlines(
    const config::RunConfig& config, const std::shared_ptr<const text::Tokenizer>& tokenizer,
    const SourceMap& sources);

// The closed list of answers of a stage's sources; empty: there is none. Throws Error(config) for
// two different ones.
std::vector<std::string> answers_of(const config::RunConfig& config,
                                    const config::StageConfig& stage, const SourceMap& sources);

// What a stage asks of its model.
models::LossRequest loss_request(const config::StageConfig& stage);

// Every stage against the model, before anything is trained: rules that catch nothing, losses that
// the model does not have, batches that the ranks do not divide. One Error(config) with all of
// them. Also an evaluation that no stage's model can do.
void check_stages(const config::RunConfig& config,
                  const std::vector<std::shared_ptr<Parts>>& outlines, const SourceMap& sources,
                  int ranks);

// A stage's sources in the order of its mix, and the order over them.
struct StageData {
  std::vector<std::string> names{};
  std::vector<std::shared_ptr<const data::Source>> sources{};
  data::Order order;
};
StageData stage_data(const config::RunConfig& config, std::size_t stage, const SourceMap& sources);

}  // namespace tandem::train
