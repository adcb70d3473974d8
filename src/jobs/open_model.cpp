#include "tandem/jobs/open_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"
#include "tandem/jobs/model_files.h"
#include "tandem/text/chat.h"
#include "tandem/text/jinja.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;

bool counts(const std::string& name) {
  const auto tokenizer = text::tokenizer_file_names();
  return name == "config.json" || name == "preprocessor_config.json" ||
         name == "processor_config.json" ||
         std::find(tokenizer.begin(), tokenizer.end(), name) != tokenizer.end() ||
         (name.ends_with(".safetensors") && name != "optimizer.safetensors");
}

std::string hash_of_file(const fs::path& path) {
  FileReader file(path);
  std::vector<char> part(1 << 20);
  for (std::int64_t left = file.size(); left > 0;) {
    const std::int64_t count = std::min<std::int64_t>(left, static_cast<std::int64_t>(part.size()));
    file.read(part.data(), count);
    left -= count;
  }
  return file.hash();
}

// The template of dialogues that a config.json of ours names; empty: it names none.
std::string chat_named_in(const std::string& config, const std::string& where) {
  const nlohmann::json root = parse_json(config, where);
  if (!root.is_object() || !root.contains("tandem")) return {};
  const nlohmann::json& own = root["tandem"];
  const bool says = own.is_object() && own.contains("chat") && own["chat"].is_string();
  return says ? own["chat"].get<std::string>() : std::string();
}

// A directory with a template in Jinja that does not write as the settings do is refused, unless
// its config.json says how dialogues are written. A checkpoint's folder was trained as they say.
void expect_own_template(const OpenModel& open) {
  constexpr std::int64_t longest_config = std::int64_t{64} << 20;
  std::error_code error;
  if (fs::exists(open.directory / "state.json", error)) return;
  const std::string ours =
      chat_named_in(open.family->to_config_json(*open.settings), "config.json");
  if (ours.empty()) return;  // it has no dialogues
  const auto found = text::jinja_beside(*open.tokenizer);
  if (!found) return;
  const fs::path config = open.directory / "config.json";
  if (!chat_named_in(read_file(config, longest_config), config.string()).empty()) return;
  const std::vector<std::string> like = text::templates_like(found->jinja);
  if (std::find(like.begin(), like.end(), ours) != like.end()) return;
  std::string known;
  for (const std::string& name : text::chat_templates())
    known += (known.empty() ? "" : ", ") + name;
  throw Error(ErrorKind::config,
              "[chat] expected a chat template that writes as '" + ours + "' does; got " +
                  (like.empty() ? "a foreign one" : "one that writes as '" + like[0] + "'"),
              (open.directory / found->file).string(),
              "templates in Jinja are not run: say in config.json which of {" + known +
                  "} is meant, \"tandem\": {\"chat\": NAME}");
}

}  // namespace

OpenModel open_model(const fs::path& path, const WeightChoice& choice) {
  OpenModel open;
  open.directory = chosen_directory(path, choice);
  ModelFiles files = read_model(open.directory, {}, choice.average);
  open.family = files.family;
  open.tokenizer = std::make_shared<const text::Tokenizer>(text::load_tokenizer(open.directory));
  if (files.family->fit_vocabulary) files.family->fit_vocabulary(*files.settings, *open.tokenizer);
  open.model = make_model(files);
  open.model->train(false);
  open.processor = files.family->processor(*files.settings, open.tokenizer);
  open.settings = std::move(files.settings);
  expect_own_template(open);
  return open;
}

std::string model_hash(const fs::path& directory) {
  std::string all;
  for (const std::string& name : list_directory(directory)) {
    if (counts(name)) all += name + " " + hash_of_file(directory / name) + "\n";
  }
  return hash128(all);
}

}  // namespace tandem::jobs
