#include "tandem/text/jinja.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "tandem/base/json.h"

namespace tandem::text {
namespace {

using Signs = std::vector<std::string_view>;

// What a system's published template holds, which none of the others does.
struct KnownSystem {
  std::vector<std::string> names;
  Signs all;  // each of them
  Signs any;  // and one of these, where there are some
};

const std::vector<KnownSystem>& known_systems() {
  static const std::vector<KnownSystem> table{
      // Qwen2-VL, Qwen2.5-VL and their language models
      {{"chatml", "qwen_vl"}, {"<|im_start|>", "<|im_end|>", "You are a helpful assistant."}, {}},
      {{"mpt"}, {"<|im_start|>", "<|im_end|>", "LLM-based AI assistant."}, {}},
      // LLaVA-1.5 (message['role'].upper() + ': ') and Vicuna
      {{"v1", "llava_v1"}, {"ASSISTANT:"}, {"USER:", ".upper()", "|upper"}},
      {{"llama_2"}, {"[INST]", "[/INST]", "<<SYS>>"}, {}},
      {{"v0"}, {"###", "Human:", "Assistant:"}, {}},
  };
  return table;
}

// Of systems that are none of ours.
constexpr std::array<std::string_view, 8> others_signs{
    "<|start_header_id|>", "<|eot_id|>", "<start_of_turn>", "<|assistant|>", "<|user|>",
    "<|channel|>",         "<think>",    "<|turn>"};

// Of {"chat_template": TEXT} or {"chat_template": [{"name": NAME, "template": TEXT}]}, the default.
std::optional<std::string> default_template(const nlohmann::json& root) {
  if (!root.is_object() || !root.contains("chat_template")) return {};
  const nlohmann::json& value = root["chat_template"];
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return {};
  for (const nlohmann::json& one : value) {
    const bool named = one.is_object() && one.contains("name") && one.contains("template") &&
                       one["name"].is_string() && one["template"].is_string();
    if (named && one["name"].get<std::string>() == "default") {
      return one["template"].get<std::string>();
    }
  }
  return {};
}

}  // namespace

std::optional<FoundTemplate> jinja_beside(const Tokenizer& tokenizer) {
  for (const char* name : {"chat_template.jinja", "chat_template.json", "tokenizer_config.json"}) {
    for (const auto& [file, bytes] : tokenizer.files()) {
      if (file != name) continue;
      if (file.ends_with(".jinja")) return FoundTemplate{file, bytes};
      if (auto jinja = default_template(parse_json(bytes, file))) {
        return FoundTemplate{file, std::move(*jinja)};
      }
    }
  }
  return {};
}

std::vector<std::string> templates_like(std::string_view jinja) {
  const auto there = [&](std::string_view sign) {
    return jinja.find(sign) != std::string_view::npos;
  };
  if (std::any_of(others_signs.begin(), others_signs.end(), there)) return {};
  std::vector<std::string> names;
  for (const KnownSystem& one : known_systems()) {
    const bool all = std::all_of(one.all.begin(), one.all.end(), there);
    if (all && (one.any.empty() || std::any_of(one.any.begin(), one.any.end(), there))) {
      names.insert(names.end(), one.names.begin(), one.names.end());
    }
  }
  return names;
}

}  // namespace tandem::text
