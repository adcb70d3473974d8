#include "tandem/jobs/instruct.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "jobs/instruct_answers.h"
#include "jobs/instruct_prompts.h"
#include "jobs/instruct_read.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/data/picture_files.h"
#include "tandem/data/verdict.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_instruct_file = std::int64_t{4} << 30;

[[noreturn]] void refuse_instruct(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::config, "[instruct] " + what, where);
}

// --- Settings

Json settings_json(const InstructJob& job) {
  Json json;
  for (const auto& [name, source] : job.inputs) {
    json["sources"].push_back({{"name", name}, {"fingerprint", source->fingerprint()}});
  }
  const InstructLimits& l = job.limits;
  json.update({{"kinds", job.kinds},
               {"samples", job.samples},
               {"shots", job.shots},
               {"part", job.part},
               {"seed", job.seed},
               {"copy", job.copy},
               {"batch_model", job.batch_model},
               {"most_words", l.most_words},
               {"least_detail", l.least_detail},
               {"least_reasoning", l.least_reasoning},
               {"most_turns", l.most_turns},
               {"keep_same", l.keep_same},
               {"answered_by", job.answered_by}});
  return json;
}

// Who answers may be known later than the requests, and is not named where answers come as files.
Json with_who_answered(Json now, const std::string& before) {
  if (now["answered_by"] == "") now["answered_by"] = before;
  return now;
}

// The first setting that differs.
std::string first_difference(const Json& before, const Json& now) {
  for (const auto& [name, value] : now.items()) {
    if (!before.contains(name) || before[name] != value) return name;
  }
  return "another setting";
}

void expect_right_job(const InstructJob& job) {
  if (job.inputs.empty()) refuse_instruct("expected a source; got none", job.folder.string());
  for (const std::string& kind : job.kinds) {
    if (!is_instruct_kind(kind)) {
      refuse_instruct("expected kinds of {conversation, detail, reasoning}; got '" + kind + "'",
                      job.folder.string());
    }
    if (std::count(job.kinds.begin(), job.kinds.end(), kind) > 1) {
      refuse_instruct("expected each kind once; got '" + kind + "' twice", job.folder.string());
    }
  }
  if (job.again && !job.answer) {
    refuse_instruct("expected a model to ask again; got none", job.folder.string());
  }
}

void agree_on_settings(const InstructJob& job) {
  expect_right_job(job);
  make_directories(job.folder);
  const fs::path path = job.folder / "settings.json";
  Json now = settings_json(job);
  if (!fs::exists(path)) return replace_file(path, now.dump(1) + "\n");
  Json old = Json::parse(read_file(path, largest_instruct_file), nullptr,
                         /*allow_exceptions=*/false);
  if (!old.is_object()) old = Json::object();
  const std::string by = old.contains("answered_by") && old["answered_by"].is_string()
                             ? old["answered_by"].get<std::string>()
                             : "";
  now = with_who_answered(std::move(now), by);
  const std::string who = now["answered_by"].get<std::string>();
  if (!by.empty() && who != by) {
    throw Error(ErrorKind::config,
                "[instruct] expected the one who answered before (" + by + "); got " + who,
                path.string(), "give another --out");
  }
  old["answered_by"] = who;
  if (old != now) {
    throw Error(ErrorKind::config,
                "[instruct] expected the settings that the folder was begun with; got another `" +
                    first_difference(old, now) + "`",
                path.string(), "give another --out");
  }
  if (who != by) replace_file(path, now.dump(1) + "\n");
}

// --- Requests

struct RequestPart {
  std::size_t input = 0;
  std::int64_t first = 0, end = 0, number = 0;
};

std::string padded_number(std::int64_t number, std::size_t digits) {
  std::string text = std::to_string(number);
  if (text.size() < digits) text.insert(0, digits - text.size(), '0');
  return text;
}

std::vector<RequestPart> request_parts(const InstructJob& job) {
  std::vector<RequestPart> parts;
  for (std::size_t i = 0; i < job.inputs.size(); ++i) {
    std::int64_t size = job.inputs[i].second->size();
    if (job.samples > 0) size = std::min(size, job.samples);
    for (std::int64_t at = 0; at < size; at += job.part) {
      parts.push_back(
          {i, at, std::min(size, at + job.part), static_cast<std::int64_t>(parts.size())});
    }
  }
  return parts;
}

fs::path requests_path(const InstructJob& job, const RequestPart& part) {
  return job.folder / "requests" / (padded_number(part.number, 6) + ".jsonl");
}

fs::path asked_path(const InstructJob& job, const RequestPart& part) {
  return job.folder / "asked" / (padded_number(part.number, 6) + ".txt");
}

// The sample with its picture's size where its boxes need one.
struct Shown {
  data::Sample sample{};
  double width = 1, height = 1;
};

Shown shown_sample(const data::Source& source, std::int64_t index, bool boxes) {
  Shown shown{source.peek(index)};
  if (!boxes || shown.sample.boxes.empty()) return shown;
  if (const auto size = data::stored_size(source, index, shown.sample)) {
    shown.width = size->width;
    shown.height = size->height;
  }
  return shown;
}

// Boxes are told by the names of what is in them.
bool has_named_things(const data::Sample& sample) {
  return !sample.boxes.empty() && !sample.box_names.empty();
}

std::string request_line(const InstructJob& job, const InstructRequest& request) {
  Json messages = Json::array();
  for (const InstructMessage& one : request.messages) {
    messages.push_back({{"role", one.role}, {"content", one.content}});
  }
  Json line{{"id", request.id}, {"messages", messages}};
  if (!job.batch_model.empty()) {
    line = {{"custom_id", request.id},
            {"method", "POST"},
            {"url", "/v1/chat/completions"},
            {"body", {{"model", job.batch_model}, {"messages", messages}}}};
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

InstructRequest request_of(const InstructJob& job, std::size_t input, std::int64_t index,
                           const std::string& kind, const Shown& shown) {
  InstructRequest request;
  request.source = job.inputs[input].first;
  request.index = index;
  request.kind = kind;
  request.id = request.source + "-" + padded_number(index, 9) + "-" + kind;
  const bool boxes = kind != instruct_conversation;
  request.messages =
      instruct_messages(kind, shown_as_text(shown.sample, boxes, shown.width, shown.height),
                        job.shots, has_named_things(shown.sample));
  return request;
}

bool asks_with_boxes(const InstructJob& job) {
  return std::any_of(job.kinds.begin(), job.kinds.end(),
                     [](const std::string& kind) { return kind != instruct_conversation; });
}

// Of the part's samples that have captions. `each` gets them in their order; what is left out is
// added to the counts.
template <class Each>
void for_each_request(const InstructJob& job, const RequestPart& part, InstructCounts& counts,
                      const Each& each) {
  const data::Source& source = *job.inputs[part.input].second;
  const bool boxes = asks_with_boxes(job);
  for (std::int64_t index = part.first; index < part.end; ++index) {
    std::optional<Shown> shown;
    try {
      shown = shown_sample(source, index, boxes);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      counts.bad_samples.push_back(job.inputs[part.input].first + ", sample " +
                                   std::to_string(index) + " (" + error.where() +
                                   "): " + error.message());
      continue;
    }
    if (data::has_verdict(shown->sample)) {
      throw Error(ErrorKind::config,
                  "[instruct] expected captions; source " + job.inputs[part.input].first +
                      " has sentences with labels, which need not be true of the picture",
                  shown->sample.id, "choose a source of captions with --source");
    }
    if (shown->sample.texts.empty()) {
      ++counts.without_captions;
      continue;
    }
    if (boxes && !has_named_things(shown->sample)) ++counts.without_boxes;
    for (const std::string& kind : job.kinds) {
      each(request_of(job, part.input, index, kind, *shown));
    }
  }
}

fs::path left_out_path(const InstructJob& job, const RequestPart& part) {
  return job.folder / "left_out" / (padded_number(part.number, 6) + ".json");
}

std::string left_out_text(const InstructCounts& counts) {
  const Json json{{"without_captions", counts.without_captions},
                  {"without_boxes", counts.without_boxes},
                  {"bad", counts.bad_samples}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// What an earlier start left out counts as well.
void count_left_out(const InstructJob& job, const std::vector<RequestPart>& parts,
                    InstructCounts& counts) {
  for (const RequestPart& part : parts) {
    const fs::path path = left_out_path(job, part);
    if (!fs::exists(path)) continue;  // of an older version
    const Json json = Json::parse(read_file(path, largest_instruct_file));
    counts.without_captions += json.at("without_captions").get<std::int64_t>();
    counts.without_boxes += json.at("without_boxes").get<std::int64_t>();
    for (const Json& one : json.at("bad")) counts.bad_samples.push_back(one.get<std::string>());
  }
}

void warn_of_left_out(const InstructJob& job, const InstructCounts& counts) {
  constexpr std::size_t most_named = 10;
  const std::vector<std::string>& bad = counts.bad_samples;
  for (std::size_t i = 0; i < std::min(bad.size(), most_named); ++i) {
    log_warning("[instruct] left out: " + bad[i]);
  }
  if (bad.size() > most_named) {
    log_warning("[instruct] and " + std::to_string(bad.size() - most_named) + " more, named in " +
                (job.folder / "left_out").string());
  }
  if (counts.without_boxes > 0) {
    log_warning("[instruct] " + std::to_string(counts.without_boxes) +
                " samples have no boxes: their descriptions and questions are made of captions "
                "alone (coco: `instances`, the world: `boxes: true`)");
  }
}

void write_requests(const InstructJob& job, const std::vector<RequestPart>& parts) {
  for (const char* name : {"requests", "left_out", "asked"}) make_directories(job.folder / name);
  std::int64_t there = 0;
  for (const RequestPart& part : parts) {
    if (fs::exists(asked_path(job, part))) {
      ++there;
      continue;
    }
    if (job.between) job.between();
    std::string lines, ids;
    InstructCounts left_out;
    for_each_request(job, part, left_out, [&](const InstructRequest& request) {
      lines += request_line(job, request);
      ids += request.id + "\n";
    });
    replace_file(requests_path(job, part), lines);
    replace_file(left_out_path(job, part), left_out_text(left_out));
    replace_file(asked_path(job, part), ids);
  }
  if (there > 0) {
    log_info("[instruct] goes on: " + std::to_string(there) + " of " +
             std::to_string(parts.size()) + " files of requests are there");
  }
}

// --- Answers of a model

std::vector<std::string> ids_of(const InstructJob& job, const RequestPart& part) {
  const std::string text = read_file(asked_path(job, part), largest_instruct_file);
  std::vector<std::string> ids;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    ids.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return ids;
}

std::string answer_line(const InstructJob& job, std::size_t input, const std::string& id,
                        std::int64_t attempt) {
  Json line{{"id", id}};
  try {
    const InstructId parsed = parsed_id(id);
    const bool boxes = parsed.kind != instruct_conversation;
    const Shown shown = shown_sample(*job.inputs[input].second, parsed.index, boxes);
    InstructRequest request = request_of(job, input, parsed.index, parsed.kind, shown);
    request.attempt = attempt;
    const InstructAnswer answer = job.answer(request);
    line["text"] = answer.text;
    if (answer.cut_off) line["cut_off"] = true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    line["error"] = error.message();
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::size_t input_of(const InstructJob& job, const std::string& id) {
  const std::string source = parsed_id(id).source;
  std::size_t input = 0;
  while (input < job.inputs.size() && job.inputs[input].first != source) ++input;
  TANDEM_CHECK(input < job.inputs.size(), "[instruct] a request of no source: " + id);
  return input;
}

// Into answers/NAME-NNNN.jsonl, where such a file is not there.
void answer_blocks(const InstructJob& job, const std::vector<std::string>& ids,
                   const std::string& name, std::int64_t attempt) {
  const auto block = static_cast<std::size_t>(job.answer_part);
  for (std::size_t first = 0; first < ids.size(); first += block) {
    const auto number = static_cast<std::int64_t>(first / block);
    const fs::path path =
        job.folder / "answers" / (name + "-" + padded_number(number, 4) + ".jsonl");
    if (fs::exists(path)) continue;
    if (job.between) job.between();
    std::string lines;
    for (std::size_t i = first; i < std::min(ids.size(), first + block); ++i) {
      lines += answer_line(job, input_of(job, ids[i]), ids[i], attempt);
    }
    replace_file(path, lines);
  }
}

// Each start that asks again has files of its own, again-NNNNNN-NNNN.jsonl.
void answer_again(const InstructJob& job, const std::vector<std::string>& ids) {
  std::int64_t attempt = 1;
  const auto name = [&] { return "again-" + padded_number(attempt, 6); };
  while (fs::exists(job.folder / "answers" / (name() + "-0000.jsonl"))) ++attempt;
  answer_blocks(job, ids, name(), attempt);
}

// The counts are then of all answers.
void ask_again(const InstructJob& job, const std::vector<std::string>& ids,
               const std::vector<std::string>& left, InstructCounts& counts) {
  const InstructCounts before = counts;
  answer_again(job, left);
  counts.kept.clear();
  counts.dropped.clear();
  counts.changed.clear();
  counts.read = counts.read_before = 0;
  read_answers(job, ids, counts);
  counts.read += before.read;
  counts.read_before -= before.read;
  counts.asked_again = static_cast<std::int64_t>(left.size());
}

}  // namespace

InstructCounts make_instructions(const InstructJob& job) {
  agree_on_settings(job);
  InstructCounts counts;
  const std::vector<RequestPart> parts = request_parts(job);
  write_requests(job, parts);
  count_left_out(job, parts, counts);
  warn_of_left_out(job, counts);
  std::vector<std::string> ids;
  for (const RequestPart& part : parts) {
    const std::vector<std::string> own = ids_of(job, part);
    ids.insert(ids.end(), own.begin(), own.end());
  }
  if (ids.empty()) {
    throw Error(ErrorKind::data,
                "[instruct] expected samples with captions; got " +
                    std::to_string(counts.without_captions) + " without and " +
                    std::to_string(counts.bad_samples.size()) + " that cannot be read",
                job.folder.string(), "choose a source of captions with --source");
  }
  counts.requests = static_cast<std::int64_t>(ids.size());
  make_directories(job.folder / "answers");
  if (job.answer) {
    for (const RequestPart& part : parts) {
      answer_blocks(job, ids_of(job, part), padded_number(part.number, 6), 0);
    }
  }
  const std::vector<std::string> left = read_answers(job, ids, counts);
  if (job.again && !left.empty()) ask_again(job, ids, left, counts);
  return counts;
}

}  // namespace tandem::jobs
