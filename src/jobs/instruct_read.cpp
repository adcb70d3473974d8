#include "jobs/instruct_read.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "jobs/instruct_answers.h"
#include "jobs/instruct_prompts.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/hash.h"
#include "tandem/base/json.h"
#include "tandem/base/log.h"
#include "tandem/base/random.h"
#include "tandem/data/picture_files.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using ForeignJson = nlohmann::json;

constexpr std::int64_t largest_answers = std::int64_t{4} << 30;
constexpr std::size_t rows_of_part = 1024;

std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A line of answers: an id and a text, or why there is none.
struct AnswerRow {
  std::string id{}, text{}, why{};
};

std::string string_at(const ForeignJson& json, const char* key) {
  const auto member = json.find(key);
  return member != json.end() && member->is_string() ? member->get<std::string>() : "";
}

// Of a line of OpenAI's batch API; nullopt: no message in it.
std::optional<std::string> batch_message(const ForeignJson& json) {
  const auto body = ForeignJson::json_pointer("/response/body/choices/0/message/content");
  if (!json.contains(body) || !json[body].is_string()) return {};
  return json[body].get<std::string>();
}

const ForeignJson* member_at(const ForeignJson& json, const char* place) {
  const ForeignJson::json_pointer pointer(place);
  return json.contains(pointer) ? &json[pointer] : nullptr;
}

// By our own line, or by one of the batch API: the text ends where the tokens did.
bool was_cut_off(const ForeignJson& json) {
  const ForeignJson* own = member_at(json, "/cut_off");
  const ForeignJson* reason = member_at(json, "/response/body/choices/0/finish_reason");
  return (own != nullptr && *own == true) || (reason != nullptr && *reason == "length");
}

std::string words_of_error(const ForeignJson& error) {
  if (error.is_string()) return error.get<std::string>();
  if (error.is_object() && !string_at(error, "message").empty()) return string_at(error, "message");
  return error.dump(-1, ' ', false, ForeignJson::error_handler_t::replace);
}

// Why a line has no text: its own error, or the one in the body of a batch API's response.
std::string told_error(const ForeignJson& json) {
  for (const char* place : {"/error", "/response/body/error"}) {
    const ForeignJson* error = member_at(json, place);
    if (error != nullptr && !error->is_null()) return words_of_error(*error);
  }
  return "no text";
}

// nullopt: no JSON, or one that is nested absurdly deep.
std::optional<ForeignJson> answer_json(const std::string& line) {
  try {
    return parse_json(line, "an answer", 32);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    return {};
  }
}

AnswerRow answer_row(const ForeignJson& json) {
  AnswerRow row;
  if (!json.is_object()) return {"", "", "no answer: no JSON object"};
  row.id = string_at(json, json.contains("custom_id") ? "custom_id" : "id");
  if (row.id.empty()) row.why = "no answer: no id";
  const auto message = batch_message(json);
  if (message) {
    row.text = *message;
  } else if (json.contains("text") && json["text"].is_string()) {
    row.text = json["text"].get<std::string>();
  } else if (row.why.empty()) {
    row.why = "no answer: " + told_error(json);
  }
  if (row.why.empty() && was_cut_off(json)) row.why = "cut off: it ends where its tokens did";
  return row;
}

class AnswerReader {
 public:
  AnswerReader(const InstructJob& job, const std::vector<std::string>& ids, InstructCounts& counts)
      : job_(job), ids_(ids), counts_(counts), pictures_(job.folder / "pictures", job.copy) {
    for (std::size_t i = 0; i < ids.size(); ++i) orders_[ids[i]] = i;
    for (const auto& [name, source] : job.inputs) sources_[name] = source.get();
  }

  // Gives the ids without a dialogue.
  std::vector<std::string> read() {
    make_directories(job_.folder / "read");
    load_read();
    for (const std::string& name : list_directory(job_.folder / "answers")) {
      if (name.ends_with(".jsonl")) read_lines(name);
    }
    flush();
    write_data();
    write_dropped();
    for (const auto& [order, dialogue] : kept_) ++counts_.kept[dialogue.kind];
    counts_.unanswered = counts_.requests - static_cast<std::int64_t>(kept_.size());
    counts_.wrote_pictures = counts_.wrote_pictures || pictures_.writes();
    std::vector<std::string> left;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (!kept_.contains(i)) left.push_back(ids_[i]);
    }
    return left;
  }

 private:
  struct Dialogue {
    std::string kind{}, line{};  // line: of data.json
  };

  // What was read before, in the order in which it was.
  void load_read() {
    for (const std::string& name : list_directory(job_.folder / "read")) {
      if (!name.ends_with(".jsonl")) continue;
      ++parts_;
      const std::string text = read_file(job_.folder / "read" / name, largest_answers);
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        take(Json::parse(text.substr(at, end - at)));
        at = end + 1;
        ++counts_.read_before;
      }
    }
  }

  // A judged line into what is known.
  void take(const Json& row) {
    const std::string file = row.at("file").get<std::string>();
    lines_read_[file] = std::max(lines_read_[file], row.at("line").get<std::int64_t>());
    sums_[file] = row.value("sum", std::string());  // none: read by an older version
    const std::string id = row.at("id").get<std::string>();
    if (!row.at("kept").get<bool>()) {
      const std::string why = row.at("why").get<std::string>();
      ++counts_.dropped[why.substr(0, why.find(':'))];
      dropped_.push_back(json_line(
          {{"where", "answers/" + file + ":" + std::to_string(row["line"].get<std::int64_t>())},
           {"id", id},
           {"why", why},
           {"text", row.at("text")}}));
      return;
    }
    const Json& dialogue = row.at("dialogue");
    const std::string kind = row.at("kind").get<std::string>();
    kept_[orders_.at(id)] = {kind, json_line(dialogue)};
    said_[row.at("words").get<std::string>()] = id;
    if (row.at("written").get<bool>()) counts_.wrote_pictures = true;
  }

  void read_lines(const std::string& name) {
    const std::string text = read_file(job_.folder / "answers" / name, largest_answers);
    const std::int64_t before = lines_read_[name];
    const std::string known = sums_[name];
    std::int64_t number = 0;
    std::string sum;  // of the lines up to here
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      ++number;
      sum = hash128(sum + line);
      if (number == before && !known.empty() && sum != known) tell_changed(name);
      if (number <= before || line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const std::optional<ForeignJson> json = answer_json(line);
      if (end == text.size() && !json) {
        log_warning("[instruct] answers/" + name +
                    ": the last line has no end and is no JSON: it "
                    "is left for another time");
        break;
      }
      judge(Json{{"file", name}, {"line", number}, {"sum", sum}},
            answer_row(json.value_or(ForeignJson())));
    }
    if (number < before) tell_changed(name);
  }

  void tell_changed(const std::string& name) {
    counts_.changed.push_back(name);
    log_warning(
        "[instruct] answers/" + name +
        ": lines of it that were read are others by now; they count as they were read. Give "
        "other answers a file of another name");
  }

  // row: where the line stands.
  void judge(Json row, const AnswerRow& answer) {
    row["id"] = answer.id;
    std::string why = answer.why;
    if (why.empty()) why = keep(answer, row);
    row["kept"] = why.empty();
    if (!why.empty()) {
      row["why"] = why;
      row["text"] = answer.text;
    }
    ++counts_.read;
    take(row);
    unwritten_ += json_line(row) + "\n";
    if (++rows_ == rows_of_part) flush();
  }

  // Puts the dialogue into the row; else says why not.
  std::string keep(const AnswerRow& answer, Json& row) {
    const auto order = orders_.find(answer.id);
    if (order == orders_.end()) return "no request: of this id";
    if (kept_.contains(order->second)) return "answered before: " + answer.id;
    const InstructId id = parsed_id(answer.id);
    AnsweredPairs made = judged_answer(id.kind, answer.text, job_.limits);
    if (!made.why.empty()) return made.why;
    const std::string words = words_hash(id.kind, made);
    const auto same = said_.find(words);
    if (same != said_.end() && !job_.limits.keep_same) return "the same words: as " + same->second;
    std::string image;
    try {
      const data::Source& source = *sources_.at(id.source);
      image = pictures_.name_of(source, id.index, source.peek(id.index),
                                id.source + "/" + number_of(answer.id, id));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      return "no picture: " + error.message();
    }
    if (image.empty()) return "no picture: the sample shows none";
    row["kind"] = id.kind;
    row["words"] = words;
    row["written"] = pictures_.writes();
    row["dialogue"] = dialogue_of(answer.id, id.kind, image, made);
    return {};
  }

  // The digits of an id.
  static std::string number_of(const std::string& text, const InstructId& id) {
    const std::size_t first = id.source.size() + 1;
    return text.substr(first, text.size() - first - id.kind.size() - 1);
  }

  static std::string words_hash(const std::string& kind, const AnsweredPairs& made) {
    std::string all = kind;
    for (const auto& [question, answer] : made.pairs) all += "\n" + question + "\n" + answer;
    return hash128(all);
  }

  Json dialogue_of(const std::string& id, const std::string& kind, const std::string& image,
                   const AnsweredPairs& made) const {
    Random random(Key(job_.seed).fold("instruct").fold(id));
    Json turns = Json::array();
    for (const auto& [question, answer] : made.pairs) {
      std::string asked = question;
      if (kind == instruct_detail) {
        asked = detail_requests()[random.below(detail_requests().size())];
      }
      if (turns.empty()) {
        asked = random.below(2) == 0 ? "<image>\n" + asked : asked + "\n<image>";
      }
      turns.push_back({{"from", "human"}, {"value", asked}});
      turns.push_back({{"from", "gpt"}, {"value", answer}});
    }
    return {{"id", id}, {"image", image}, {"conversations", turns}};
  }

  void flush() {
    if (rows_ == 0) return;
    std::string number = std::to_string(parts_++);
    if (number.size() < 6) number.insert(0, 6 - number.size(), '0');
    replace_file(job_.folder / "read" / (number + ".jsonl"), unwritten_);
    unwritten_.clear();
    rows_ = 0;
    if (job_.between) job_.between();
  }

  void write_data() const {
    replace_file(job_.folder / "data.json", 0, [&](FileWriter& file) {
      file.write("[");
      bool first = true;
      for (const auto& [order, dialogue] : kept_) {
        file.write(first ? "\n" : ",\n");
        file.write(dialogue.line);
        first = false;
      }
      file.write("\n]\n");
    });
  }

  void write_dropped() const {
    replace_file(job_.folder / "dropped.jsonl", 0, [&](FileWriter& file) {
      for (const std::string& line : dropped_) file.write(line + "\n");
    });
  }

  const InstructJob& job_;
  const std::vector<std::string>& ids_;
  InstructCounts& counts_;
  data::PictureFiles pictures_;
  std::unordered_map<std::string, std::size_t> orders_{};  // of the requests, by id
  std::map<std::string, const data::Source*> sources_{};
  std::map<std::string, std::int64_t> lines_read_{};     // of each file of answers
  std::map<std::string, std::string> sums_{};            // of those lines
  std::map<std::size_t, Dialogue> kept_{};               // by the request's order
  std::unordered_map<std::string, std::string> said_{};  // hash of the words -> id
  std::vector<std::string> dropped_{};
  std::string unwritten_{};
  std::size_t rows_ = 0;
  std::int64_t parts_ = 0;
};

}  // namespace

InstructId parsed_id(const std::string& id) {
  InstructId made;
  const std::size_t kind = id.rfind('-');
  const std::size_t number =
      kind == std::string::npos || kind == 0 ? std::string::npos : id.rfind('-', kind - 1);
  if (number != std::string::npos) {
    made.source = id.substr(0, number);
    made.kind = id.substr(kind + 1);
    const char* end = id.data() + kind;
    const auto [stop, error] = std::from_chars(id.data() + number + 1, end, made.index);
    if (error == std::errc() && stop == end && is_instruct_kind(made.kind)) return made;
  }
  throw Error(ErrorKind::data, "[instruct] expected an id SOURCE-INDEX-KIND; got '" + id + "'");
}

std::vector<std::string> read_answers(const InstructJob& job, const std::vector<std::string>& ids,
                                      InstructCounts& counts) {
  return AnswerReader(job, ids, counts).read();
}

}  // namespace tandem::jobs
