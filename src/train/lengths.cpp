#include "tandem/train/lengths.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "tandem/base/error.h"

namespace tandem::train {
namespace {

// Of one stage; stages that go on with the same model share their parts.
struct AskedLength {
  std::shared_ptr<Parts> parts;
  std::string stage;
  std::int64_t most = 0;  // 0: any
};

void check_length(const AskedLength& asked, const data::Sample& sample) {
  const std::int64_t tokens = asked.parts->processor.length(sample);
  if (asked.most == 0 || tokens <= asked.most) return;
  throw Error(ErrorKind::data,
              "[data] expected a sample of at most " + std::to_string(asked.most) +
                  " tokens (stages." + asked.stage + ".data.max_tokens); got " +
                  std::to_string(tokens),
              sample.id);
}

}  // namespace

std::map<std::string, SampleCheck> sample_checks(const PlanInput& input) {
  std::map<std::string, SampleCheck> checks;
  if (input.stand_in) return checks;
  const config::RunConfig& config = input.loaded.config;
  const auto all = outlines(config, input.tokenizer, input.sources);
  std::map<std::string, std::vector<AskedLength>> asked;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const config::StageConfig& stage = config.stages[i];
    if (stage.kind == "job" || !all[i]->processor.length) continue;
    for (const std::string& name : sources_of(config, stage)) {
      std::vector<AskedLength>& own = asked[name];
      const auto same = [&](const AskedLength& other) {
        return other.parts == all[i] && other.most == stage.data.max_tokens;
      };
      if (std::any_of(own.begin(), own.end(), same)) continue;
      own.push_back({all[i], stage.name, stage.data.max_tokens});
    }
  }
  for (auto& [name, own] : asked) {
    checks[name] = [own = std::move(own)](const data::Sample& sample) {
      for (const AskedLength& one : own) check_length(one, sample);
    };
  }
  return checks;
}

}  // namespace tandem::train
