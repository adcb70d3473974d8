#include "tandem/checkpoint/adapter.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tandem/base/error.h"
#include "tandem/base/json.h"

namespace tandem::checkpoint {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view peft_prefix = "base_model.model.";

[[noreturn]] void bad_adapter(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[lora] " + what, where);
}

// A whole number is written as one.
ordered_json number(double value) {
  const double whole = std::round(value);
  if (std::abs(value - whole) < 1e-9 * std::abs(value) && std::abs(whole) < 1e15) {
    return static_cast<std::int64_t>(whole);
  }
  return value;
}

double alpha_of(const AdapterLayer& layer, bool stabilized) {
  const auto rank = static_cast<double>(layer.rank);
  return layer.scale * (stabilized ? std::sqrt(rank) : rank);
}

// The value for one layer: that of the first name that it ends with, behind a dot or alone, else
// the common one (PEFT's utils/other.py, get_pattern_key). PEFT takes regular expressions too; here
// a name that can be one is refused, since a hostile one could run for ever.
double value_of(const json& config, const char* patterns, const char* common,
                const std::string& layer, double fallback) {
  const auto found = config.find(patterns);
  if (found != config.end() && found->is_object()) {
    for (const auto& [pattern, value] : found->items()) {
      if (pattern.find_first_of("*+?()[]{}|\\^$") != std::string::npos) {
        throw Error(ErrorKind::config, std::string("[lora] expected names of layers in ") +
                                           patterns + "; got a regular expression: " + pattern);
      }
      if (layer == pattern || layer.ends_with("." + pattern)) return value.get<double>();
    }
  }
  return config.contains(common) && !config[common].is_null() ? config[common].get<double>()
                                                              : fallback;
}

json parse_config(const std::string& text, const std::string& where) {
  json config = parse_json(text, where, 16);
  const auto says = [&](const char* key, const json& wanted) {
    return !config.contains(key) || config[key].is_null() || config[key] == wanted;
  };
  if (!config.is_object() || !says("peft_type", "LORA") || !says("bias", "none") ||
      !says("use_dora", false) || !says("fan_in_fan_out", false) ||
      !says("modules_to_save", json::array())) {
    throw Error(ErrorKind::config,
                "[lora] expected an adapter of peft_type LORA without dora, biases, "
                "fan_in_fan_out or modules_to_save; got another kind",
                where);
  }
  return config;
}

}  // namespace

std::string adapter_config_json(const std::vector<AdapterLayer>& layers, const std::string& base) {
  // alpha / sqrt(rank) is said so where it makes whole numbers of what would not be.
  const auto whole = [&](bool stabilized) {
    return std::all_of(layers.begin(), layers.end(), [&](const AdapterLayer& layer) {
      return number(alpha_of(layer, stabilized)).is_number_integer();
    });
  };
  const bool stabilized = !whole(false) && whole(true);
  const AdapterLayer common = layers.empty() ? AdapterLayer{.rank = 1} : layers.front();
  ordered_json config;
  config["peft_type"] = "LORA";
  config["base_model_name_or_path"] = base.empty() ? ordered_json() : ordered_json(base);
  config["r"] = common.rank;
  config["lora_alpha"] = number(alpha_of(common, stabilized));
  config["lora_dropout"] = 0.0;
  config["use_rslora"] = stabilized;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;
  config["modules_to_save"] = nullptr;
  config["task_type"] = nullptr;
  config["target_modules"] = ordered_json::array();
  config["rank_pattern"] = ordered_json::object();
  config["alpha_pattern"] = ordered_json::object();
  double dropout = 0;
  for (const AdapterLayer& layer : layers) {
    config["target_modules"].push_back(layer.layer);
    dropout = std::max(dropout, layer.dropout);
    if (layer.rank != common.rank) config["rank_pattern"][layer.layer] = layer.rank;
    const double alpha = alpha_of(layer, stabilized);
    if (alpha != alpha_of(common, stabilized)) {
      config["alpha_pattern"][layer.layer] = number(alpha);
    }
  }
  config["lora_dropout"] = dropout;
  return config.dump(2) + "\n";
}

std::string to_peft_name(const std::string& name) { return std::string(peft_prefix) + name; }

std::string from_peft_name(const std::string& name) {
  return name.starts_with(peft_prefix) ? name.substr(peft_prefix.size()) : name;
}

std::map<std::string, at::Tensor> merge_adapter(std::map<std::string, at::Tensor> weights,
                                                const std::map<std::string, at::Tensor>& tensors,
                                                const std::string& config_json,
                                                const std::string& where) {
  const at::NoGradGuard no_grad;
  const json config = parse_config(config_json, where);
  constexpr std::string_view a_ending = ".lora_A.weight", b_ending = ".lora_B.weight";
  std::size_t used = 0;
  for (const auto& [name, a] : tensors) {
    if (!name.ends_with(a_ending)) continue;
    const std::string stem = name.substr(0, name.size() - a_ending.size());
    const std::string layer = from_peft_name(stem);
    const auto b = tensors.find(stem + std::string(b_ending));
    const auto weight = weights.find(layer + ".weight");
    if (b == tensors.end())
      bad_adapter("expected lora_B beside lora_A; got none for " + layer, where);
    if (weight == weights.end()) bad_adapter("expected a layer of the model; got " + layer, where);
    const at::Tensor &up = b->second, &w = weight->second;
    if (a.dim() != 2 || up.dim() != 2 || w.dim() != 2 || up.size(1) != a.size(0) ||
        w.size(0) != up.size(0) || w.size(1) != a.size(1)) {
      bad_adapter(
          "expected lora_A [r, in] and lora_B [out, r] of the layer's size; got others for " +
              layer,
          where);
    }
    try {
      const auto rank = static_cast<double>(a.size(0));
      const double alpha = value_of(config, "alpha_pattern", "lora_alpha", layer, 8);
      const bool stabilized = config.value("use_rslora", false);
      const double scale = alpha / (stabilized ? std::sqrt(rank) : rank);
      weight->second = w.to(at::kFloat)
                           .add(at::matmul(up.to(at::kFloat), a.to(at::kFloat)), scale)
                           .to(w.scalar_type());
    } catch (const json::exception& error) {
      bad_adapter(error.what(), where);
    }
    used += 2;
  }
  if (used != tensors.size() || used == 0) {
    bad_adapter("expected pairs of lora_A.weight and lora_B.weight and nothing else", where);
  }
  return weights;
}

bool has_adapter(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::exists(directory / adapter_config_file, ignored) &&
         std::filesystem::exists(directory / adapter_tensors_file, ignored);
}

}  // namespace tandem::checkpoint
