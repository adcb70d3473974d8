#include "tandem/train/rules.h"

#include <algorithm>
#include <regex>

#include "tandem/base/error.h"

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

std::string counted(std::int64_t tensors, std::int64_t elements) {
  return std::to_string(tensors) + " tensors, " + std::to_string(elements) + " parameters";
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
  std::vector<bool> used(stage.train.size(), false);
  for (const auto& [name, tensor] : parameters) {
    ResolvedParameter one{.name = name, .elements = tensor.numel()};
    for (std::size_t i = 0; i < stage.train.size(); ++i) {
      const config::TrainRule& rule = stage.train[i];
      if (!matches(rule.match, name)) continue;
      used[i] = true;
      if (one.rule >= 0) continue;
      one.rule = static_cast<int>(i);
      one.trained = !rule.freeze;
      one.lr_scale = rule.lr_scale * (rule.lr > 0 ? rule.lr / stage.optimizer.lr : 1.0);
      one.weight_decay = rule.weight_decay >= 0 ? rule.weight_decay
                         : tensor.dim() < 2     ? 0.0
                                                : stage.optimizer.weight_decay;
    }
    resolved.push_back(one);
  }
  std::string unused;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) unused += (unused.empty() ? "" : ", ") + ("'" + stage.train[i].match + "'");
  }
  if (!unused.empty()) {
    throw Error(ErrorKind::config,
                "[rules] expected every rule to catch a parameter; got none for " + unused,
                "stages." + stage.name + ".train",
                "`tandem check` prints the names of the model's parameters");
  }
  return resolved;
}

std::string rules_table(const config::StageConfig& stage,
                        const std::vector<ResolvedParameter>& resolved) {
  std::string text;
  std::int64_t trained = 0, frozen = 0;
  for (int rule = 0; rule <= static_cast<int>(stage.train.size()); ++rule) {
    const bool rest = rule == static_cast<int>(stage.train.size());
    std::int64_t tensors = 0, elements = 0;
    for (const ResolvedParameter& one : resolved) {
      if (one.rule != (rest ? -1 : rule)) continue;
      ++tensors;
      elements += one.elements;
      (one.trained ? trained : frozen) += one.elements;
    }
    if (rest && tensors == 0) continue;
    const bool freezes = rest || stage.train[static_cast<std::size_t>(rule)].freeze;
    text += std::string("  ") + (freezes ? "frozen " : "trained") + "  " +
            (rest ? std::string("(no rule)") : stage.train[static_cast<std::size_t>(rule)].match) +
            ": " + counted(tensors, elements) + "\n";
  }
  return text + "  in all: " + std::to_string(trained) + " trained, " + std::to_string(frozen) +
         " frozen\n";
}

}  // namespace tandem::train
