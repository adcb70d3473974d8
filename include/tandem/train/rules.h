#pragma once
// Which parameters a stage trains, and how: ordered rules on their names, the first match decides
// (big_vision's masks; DESIGN 4). What no rule catches is frozen; a rule that catches nothing is an
// error.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"
#include "tandem/models/adapters.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::train {

// `pattern`: a glob over the whole dotted name (`*` crosses dots, `?` is one character), or
// /regular expression/ (ECMAScript, found anywhere). Throws Error(config) for a broken expression.
bool matches(const std::string& pattern, const std::string& name);

struct ResolvedParameter {
  std::string name{};
  std::int64_t elements = 0;
  int rule = -1;  // index into the stage's rules; -1: none caught it
  bool trained = false;
  double lr_scale = 1;  // of the scheduled learning rate, lr_decay included
  double weight_decay = 0;
};

// One line for each parameter, in the order of `parameters`. Weight decay skips tensors of fewer
// than two dimensions. What a rule with `lora` catches is frozen; the parameters of an adapter
// belong to the rule that caught their layer, and are trained. Throws Error(config) naming every
// rule that catches nothing.
std::vector<ResolvedParameter> resolve_rules(const config::StageConfig& stage,
                                             const NamedTensors& parameters);

// The adapters that the stage's rules with `lora` ask for, of the model's Linear layers. Their
// pattern may match the name of a layer or of its weight. Throws Error(config) naming a rule that
// catches no such layer.
std::vector<models::Adapter> adapters_of(const config::StageConfig& stage,
                                         const std::vector<std::string>& layers);

// The table for people: a line a rule with the counts of tensors and elements, then what is frozen.
std::string rules_table(const config::StageConfig& stage,
                        const std::vector<ResolvedParameter>& resolved);

}  // namespace tandem::train
