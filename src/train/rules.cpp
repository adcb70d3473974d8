#include "tandem/train/rules.h"

#include <algorithm>
#include <cmath>
#include <regex>

#include "tandem/base/error.h"
#include "tandem/train/depth.h"

namespace tandem::train {
namespace {

// Iterative, linear in the name for each star: no pattern makes it slow.
bool glob(const std::string& pattern, const std::string& name) {
  std::size_t p = 0, n = 0, star = std::string::npos, after = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
      ++p;
      ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = n;
    } else if (star != std::string::npos) {
      p = star + 1;
      n = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_regex(const std::string& pattern) {
  return pattern.size() >= 2 && pattern.front() == '/' && pattern.back() == '/';
}

struct Count {
  std::int64_t tensors = 0, elements = 0;
  void add(const ResolvedParameter& one) {
    ++tensors;
    elements += one.elements;
  }
};

std::string counted(const Count& count) {
  return std::to_string(count.tensors) + " tensors, " + std::to_string(count.elements) +
         " parameters";
}

// rule: null for what none caught.
std::string rule_line(const config::TrainRule* rule, const Count& ours, const Count& others) {
  const bool lora = rule != nullptr && rule->lora.rank > 0;
  const bool freezes = rule == nullptr || rule->freeze;
  std::string text = std::string("  ") + (freezes ? "frozen " : "trained") + "  " +
                     (rule == nullptr ? std::string("(no rule)") : rule->match);
  if (lora) text += " as adapters of rank " + std::to_string(rule->lora.rank);
  text += ": " + counted(ours);
  if (lora) text += "; frozen " + counted(others);
  if (rule != nullptr && rule->lr_decay != 1) {
    text += "; lr x " + std::to_string(rule->lr_decay) + " for each block deeper";
  }
  return text + "\n";
}

// A rule with adapters may name a layer instead of its weight.
bool catches(const config::TrainRule& rule, const std::string& name) {
  if (matches(rule.match, name)) return true;
  const std::size_t dot = name.rfind('.');
  return rule.lora.rank > 0 && dot != std::string::npos && matches(rule.match, name.substr(0, dot));
}

void refuse_unused(const config::StageConfig& stage, const std::vector<bool>& used,
                   const std::string& what) {
  std::string unused;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) unused += (unused.empty() ? "" : ", ") + ("'" + stage.train[i].match + "'");
  }
  if (unused.empty()) return;
  throw Error(ErrorKind::config,
              "[rules] expected every rule to catch " + what + "; got none for " + unused,
              "stages." + stage.name + ".train",
              "`tandem check` prints the names of the model's parameters");
}

}  // namespace

bool matches(const std::string& pattern, const std::string& name) {
  if (!is_regex(pattern)) return glob(pattern, name);
  try {
    return std::regex_search(name, std::regex(pattern.substr(1, pattern.size() - 2)));
  } catch (const std::regex_error& error) {
    throw Error(ErrorKind::config,
                "[rules] expected a regular expression; got " + pattern + ": " + error.what());
  }
}

std::vector<ResolvedParameter> resolve_rules(const config::StageConfig& stage,
                                             const NamedTensors& parameters) {
  std::vector<ResolvedParameter> resolved;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters) names.push_back(name);
  const std::vector<std::int64_t> deep = depths(names);
  std::vector<bool> used(stage.train.size(), false);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto& [name, tensor] = parameters[p];
    const auto layer = models::adapted_layer(name);
    ResolvedParameter one{.name = name, .elements = tensor.numel()};
    for (std::size_t i = 0; i < stage.train.size(); ++i) {
      const config::TrainRule& rule = stage.train[i];
      if (!catches(rule, layer ? *layer + ".weight" : name)) continue;
      used[i] = true;
      if (one.rule >= 0) continue;
      one.rule = static_cast<int>(i);
      one.trained = rule.lora.rank > 0 ? layer.has_value() : !rule.freeze;
      one.lr_scale = rule.lr_scale * (rule.lr > 0 ? rule.lr / stage.optimizer.lr : 1.0);
      if (rule.lr_decay != 1) {
        one.lr_scale *= std::pow(rule.lr_decay, static_cast<double>(deep[p]));
      }
      one.weight_decay = rule.weight_decay >= 0 ? rule.weight_decay
                         : tensor.dim() < 2     ? 0.0
                                                : stage.optimizer.weight_decay;
    }
    resolved.push_back(one);
  }
  refuse_unused(stage, used, "a parameter");
  return resolved;
}

std::vector<models::Adapter> adapters_of(const config::StageConfig& stage,
                                         const std::vector<std::string>& layers) {
  std::vector<models::Adapter> adapters;
  std::vector<bool> used;
  for (const config::TrainRule& rule : stage.train) used.push_back(rule.lora.rank == 0);
  for (const std::string& layer : layers) {
    for (std::size_t i = 0; i < stage.train.size(); ++i) {
      const config::TrainRule& rule = stage.train[i];
      if (!catches(rule, layer + ".weight")) continue;
      if (rule.lora.rank == 0) break;
      used[i] = true;
      const auto rank = static_cast<double>(rule.lora.rank);
      const double alpha = rule.lora.alpha > 0 ? rule.lora.alpha : rank;
      adapters.push_back({.layer = layer,
                          .rank = rule.lora.rank,
                          .scale = alpha / (rule.lora.rank_stabilized ? std::sqrt(rank) : rank),
                          .dropout = rule.lora.dropout});
      break;
    }
  }
  refuse_unused(stage, used, "a Linear layer");
  return adapters;
}

std::string rules_table(const config::StageConfig& stage,
                        const std::vector<ResolvedParameter>& resolved) {
  std::string text;
  std::int64_t trained = 0, frozen = 0;
  for (int rule = 0; rule <= static_cast<int>(stage.train.size()); ++rule) {
    const bool rest = rule == static_cast<int>(stage.train.size());
    Count ours, others;  // what the rule trains, or freezes when it trains nothing; and what else
    for (const ResolvedParameter& one : resolved) {
      if (one.rule != (rest ? -1 : rule)) continue;
      const bool lora = !rest && stage.train[static_cast<std::size_t>(rule)].lora.rank > 0;
      (lora && !one.trained ? others : ours).add(one);
      (one.trained ? trained : frozen) += one.elements;
    }
    if (rest && ours.tensors == 0) continue;
    text += rule_line(rest ? nullptr : &stage.train[static_cast<std::size_t>(rule)], ours, others);
  }
  return text + "  in all: " + std::to_string(trained) + " trained, " + std::to_string(frozen) +
         " frozen\n";
}

}  // namespace tandem::train
