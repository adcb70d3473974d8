#include "text/side_files.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "tandem/base/error.h"
#include "text/json_node.h"

namespace tandem::text {
namespace {

using nlohmann::json;

constexpr std::uintmax_t kMaxFile = 1u << 29;
constexpr const char* kMarkKeys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                     "pad_token", "cls_token", "mask_token"};

// Families of config.json's `model_type`.
constexpr std::pair<const char*, const char*> kSystems[] = {{"clip", "CLIP"},
                                                            {"clip_text_model", "CLIP"},
                                                            {"opt", "OPT"},
                                                            {"gpt2", "GPT2"},
                                                            {"roberta", "Roberta"},
                                                            {"bart", "Bart"},
                                                            {"qwen2", "Qwen2"},
                                                            {"qwen2_vl", "Qwen2"},
                                                            {"qwen2_5_vl", "Qwen2"},
                                                            {"bert", "Bert"},
                                                            {"blip", "Bert"},
                                                            {"vilt", "Bert"},
                                                            {"llama", "Llama"},
                                                            {"llava", "Llama"},
                                                            {"llava_llama", "Llama"},
                                                            {"t5", "T5"},
                                                            {"mt5", "T5"}};

std::string system_of(std::string name) {
  for (const std::string_view tail : {"Fast", "Tokenizer"}) {
    if (std::string_view(name).ends_with(tail)) name.resize(name.size() - tail.size());
  }
  return name;
}

}  // namespace

std::string read_tokenizer_file(const std::filesystem::path& path) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  const std::uintmax_t size = regular ? std::filesystem::file_size(path, error) : 0;
  if (!regular || error) {
    throw Error(
        ErrorKind::io,
        "[text] expected a file; got " + (error ? error.message() : std::string("something else")),
        path.string());
  }
  if (size > kMaxFile) {
    throw Error(ErrorKind::data, "[text] expected at most 512 MiB; got " + std::to_string(size),
                path.string());
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size))) {
    throw Error(ErrorKind::io, "[text] expected " + std::to_string(size) + " bytes; got fewer",
                path.string());
  }
  return bytes;
}

SideFiles::SideFiles(const std::filesystem::path& folder) : folder_(folder) {
  config_ = read("tokenizer_config.json");
  map_ = read("special_tokens_map.json");
  added_ = read("added_tokens.json");
  model_ = read("config.json");
  const auto named = [](const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  system_ = system_of(named(config_, "tokenizer_class"));
  // The base classes of transformers say nothing.
  if (system_ == "PreTrained" || system_ == "Tokenizers" || system_ == "TokenizersBackend")
    system_.clear();
  std::vector<std::string> types{named(model_, "model_type")};
  for (const char* part : {"text_config", "llm_config"}) {
    const auto it = model_.find(part);
    if (it != model_.end() && it->is_object()) types.push_back(named(*it, "model_type"));
  }
  for (const std::string& type : types) {
    for (const auto& [known, system] : kSystems) {
      if (system_.empty() && type == known) system_ = system;
    }
  }
}

json SideFiles::read(const char* name) const {
  const std::filesystem::path path = folder_ / name;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return json::object();
  json value = parse_json(read_tokenizer_file(path), path.string());
  if (!value.is_object()) JsonNode(value, path.string()).fail("an object");
  return value;
}

bool SideFiles::has_pictures() const { return model_.contains("visual"); }

bool SideFiles::has(const std::string& name) const {
  const auto it = config_.find(name);
  return it != config_.end() && !it->is_null();
}

bool SideFiles::flag(const std::string& name, bool otherwise) const {
  const std::string file = where("tokenizer_config.json");
  return JsonNode(config_, file).boolean_or(name, otherwise);
}

std::int64_t SideFiles::number(const std::string& name, std::int64_t otherwise, std::int64_t low,
                               std::int64_t high) const {
  const std::string file = where("tokenizer_config.json");
  const auto found = JsonNode(config_, file).find(name);
  return found ? found->integer(low, high) : otherwise;
}

std::string SideFiles::mark(const std::string& name, const std::string& otherwise) const {
  for (const json* object : {&config_, &map_}) {
    const auto it = object->find(name);
    if (it == object->end()) continue;
    if (it->is_string()) return it->get<std::string>();
    if (it->is_object() && it->contains("content") && (*it)["content"].is_string()) {
      return (*it)["content"].get<std::string>();
    }
  }
  return otherwise;
}

void SideFiles::collect(const json& value, bool special, std::int64_t id,
                        std::vector<json>& tokens) const {
  const auto flag = [&](const char* name, bool otherwise) {
    const auto it = value.is_object() ? value.find(name) : value.end();
    return value.is_object() && it != value.end() && it->is_boolean() ? it->get<bool>() : otherwise;
  };
  std::string content;
  if (value.is_string()) content = value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    content = value["content"].get<std::string>();
  }
  if (content.empty()) return;
  for (json& token : tokens) {
    if (token["content"] != content) continue;
    if (special) token["special"] = true;
    if (id >= 0 && token["id"] < 0) token["id"] = id;
    return;
  }
  const bool is_special = flag("special", special);
  tokens.push_back({{"id", id},
                    {"content", content},
                    {"single_word", flag("single_word", false)},
                    {"lstrip", flag("lstrip", false)},
                    {"rstrip", flag("rstrip", false)},
                    {"normalized", flag("normalized", !is_special)},
                    {"special", is_special}});
}

json SideFiles::added_tokens(const std::vector<Default>& defaults,
                             const Vocabulary& vocabulary) const {
  std::vector<json> tokens;
  if (has("added_tokens_decoder") && config_["added_tokens_decoder"].is_object()) {
    for (const auto& [key, value] : config_["added_tokens_decoder"].items()) {
      const bool number = !key.empty() && key.size() < 10 &&
                          key.find_first_not_of("0123456789") == std::string::npos;
      if (!number) {
        throw Error(ErrorKind::data, "[text] expected an id; got '" + key.substr(0, 80) + "'",
                    where("tokenizer_config.json") + ": $.added_tokens_decoder");
      }
      collect(value, false, std::stoll(key), tokens);
    }
  }
  for (const auto& [content, id] : added_.items()) {
    const std::string file = where("added_tokens.json");
    collect(content, false, JsonNode(id, file).integer(0, INT32_MAX - 1), tokens);
  }
  for (const json* object : {&config_, &map_}) {
    for (const char* name : kMarkKeys) {
      if (object->contains(name)) collect((*object)[name], true, -1, tokens);
    }
    const auto more = object->find("additional_special_tokens");
    if (more == object->end() || !more->is_array()) continue;
    for (const json& token : *more) collect(token, true, -1, tokens);
  }
  for (const Default& token : defaults) {
    const bool known = token.id >= 0 || vocabulary.find(token.content) != kNoId;
    if (known) collect(token.content, true, token.id, tokens);
  }
  std::int64_t next = vocabulary.largest() + 1;
  for (json& token : tokens) {
    const std::int32_t known = vocabulary.find(token["content"].get_ref<const std::string&>());
    if (known != kNoId) token["id"] = known;
    next = std::max(next, token["id"].get<std::int64_t>() + 1);
  }
  for (json& token : tokens) {
    if (token["id"] < 0) token["id"] = next++;
  }
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const json& a, const json& b) { return a["id"] < b["id"]; });
  return tokens;
}

}  // namespace tandem::text
