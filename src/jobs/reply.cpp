#include "tandem/jobs/reply.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/json.h"

namespace tandem::jobs {

ReplyOptions reply_options(double temperature, double top_p, std::int64_t top_k, std::int64_t beams,
                           std::int64_t max_tokens, std::uint64_t seed) {
  const bool draws = temperature > 0;
  const auto refuse = [](const std::string& what) {
    throw Error(ErrorKind::config, "[generate] " + what, "tandem generate");
  };
  if (draws && beams > 1) refuse("expected beams or a temperature; got both");
  if (!draws && (top_k > 0 || top_p < 1)) {
    refuse("expected a temperature above 0 with --top-k and --top-p, which are about draws");
  }
  ReplyOptions options;
  options.max_tokens = max_tokens;
  options.generate.beams = beams;
  options.generate.sample = draws;
  options.generate.temperature = draws ? temperature : 1;
  options.generate.top_p = top_p;
  options.generate.top_k = top_k;
  options.generate.key = Key(seed).fold("generate");
  return options;
}

namespace {

constexpr std::int64_t longest_list = std::int64_t{1} << 28, largest_picture = longest_list;

AskedFor prompt_in(const std::string& line, const std::string& where,
                   const std::filesystem::path& folder) {
  const nlohmann::json row = parse_json(line, where);
  const auto wrong = [&](const std::string& what) {
    throw Error(ErrorKind::data, "[generate] expected " + what, where);
  };
  if (!row.is_object()) wrong("a map with prompt and images");
  AskedFor asked;
  asked.sample.id = where;
  for (const auto& [key, value] : row.items()) {
    if (key == "prompt" && value.is_string()) {
      asked.words = value.get<std::string>();
    } else if (key == "images" && value.is_array()) {
      for (const auto& file : value) {
        if (!file.is_string()) wrong("names of files in images");
        const std::string bytes = read_file(folder / file.get<std::string>(), largest_picture);
        asked.sample.pictures.push_back({{bytes.begin(), bytes.end()}, {}});
      }
    } else {
      wrong("prompt (a text) and images (a list); got '" + key + "'");
    }
  }
  return asked;
}

Batch prompt_of(const OpenModel& model, const AskedFor& asked, std::int64_t position) {
  Batch prompt = model.processor.prompt(asked.sample, asked.words);
  prompt.positions = {position};
  return prompt;
}

std::vector<std::int64_t> ids_of_stops(const OpenModel& model,
                                       const std::vector<std::string>& stops) {
  std::vector<std::int64_t> ids;
  for (const std::string& token : stops) {
    const auto id = model.tokenizer->id_of(token);
    if (!id) {
      throw Error(ErrorKind::config,
                  "[generate] expected a token of the vocabulary to stop at; got '" + token + "'",
                  model.directory.string(), "tokens stand in tokenizer.json");
    }
    ids.push_back(*id);
  }
  return ids;
}

void cut_before(std::vector<std::int64_t>& ids, std::int64_t begin,
                const std::vector<std::int64_t>& stops) {
  ids.erase(std::find_first_of(ids.begin() + begin, ids.end(), stops.begin(), stops.end()),
            ids.end());
}

}  // namespace

std::vector<AskedFor> read_prompts(const std::filesystem::path& list) {
  std::istringstream lines(read_file(list, longest_list));
  std::vector<AskedFor> all;
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = list.string() + ":" + std::to_string(++number);
    if (!line.empty()) all.push_back(prompt_in(line, where, list.parent_path()));
  }
  return all;
}

std::vector<std::vector<std::int64_t>> replies(const OpenModel& model,
                                               const std::vector<AskedFor>& asked,
                                               std::int64_t batch, const ReplyOptions& options,
                                               const at::Device& device) {
  const models::Abilities can = model.model->abilities();
  const models::Processor& processor = model.processor;
  if (!can.generate || !processor.prompt || !processor.decode) {
    throw Error(ErrorKind::config,
                "[generate] expected a model that writes texts; got one of the family " +
                    model.family->name + " that does not",
                model.directory.string());
  }
  const std::vector<std::int64_t> stops = ids_of_stops(model, options.stops);
  std::vector<std::vector<std::int64_t>> all;
  while (all.size() < asked.size()) {
    std::vector<Batch> prompts;
    const std::size_t end = std::min(asked.size(), all.size() + static_cast<std::size_t>(batch));
    for (std::size_t i = all.size(); i < end; ++i) {
      prompts.push_back(prompt_of(model, asked[i], static_cast<std::int64_t>(i)));
    }
    const Batch whole = prompts.size() == 1
                            ? prompts[0]
                            : collate(prompts, processor.pad_id, processor.prompt_padding);
    models::GenerateOptions generate = options.generate;
    for (std::size_t i = all.size(); i < end; ++i) {  // of a draw, whatever stands beside it
      generate.keys.push_back(generate.key.fold(static_cast<std::uint64_t>(i)));
    }
    // A captioner's prompt is the beginning of its text, and counts.
    const bool begins = can.captions_only && whole.text.has_value();
    const std::int64_t before = begins ? whole.text->ids.size(1) : 0;
    generate.max_length = options.max_tokens + before;
    for (auto& ids : can.generate(to(whole, device), generate)) {
      cut_before(ids, std::min(before, static_cast<std::int64_t>(ids.size())), stops);
      all.push_back(std::move(ids));
    }
  }
  return all;
}

std::string reply(const OpenModel& model, const data::Sample& sample, const std::string& words,
                  const ReplyOptions& options, const at::Device& device) {
  const auto ids = replies(model, {{sample, words}}, 1, options, device);
  return model.processor.decode(ids.at(0));
}

Chat::Chat(const OpenModel& model, ReplyOptions options, at::Device device)
    : model_(model), options_(std::move(options)), device_(device) {
  if (model.model->abilities().captions_only) {
    throw Error(ErrorKind::config,
                "[chat] expected a model that answers; got one that only captions pictures",
                model.directory.string(), "use `tandem generate`");
  }
  clear();
}

void Chat::clear() {
  sample_ = {};
  sample_.id = "chat";
  shown_ = 0;
}

void Chat::show(std::vector<std::uint8_t> encoded) {
  sample_.pictures.push_back({std::move(encoded), {}});
}

std::string Chat::say(const std::string& words) {
  text::Turn turn{"user", {}};
  const auto pictures = static_cast<std::int64_t>(sample_.pictures.size());
  for (std::int64_t i = shown_; i < pictures; ++i) turn.parts.push_back(text::picture_part(i));
  turn.parts.push_back(text::text_part(words));
  data::Sample asked = sample_;
  asked.turns.push_back(std::move(turn));
  ReplyOptions options = options_;
  options.generate.key = options.generate.key.fold(asked.turns.size());
  std::string answer = reply(model_, asked, "", options, device_);
  asked.turns.push_back({"assistant", {text::text_part(answer)}});
  sample_ = std::move(asked);
  shown_ = pictures;
  return answer;
}

}  // namespace tandem::jobs
