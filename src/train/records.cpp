#include "train/records.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tandem/base/error.h"
#include "tandem/base/log.h"

namespace tandem::train {
namespace {

constexpr std::int64_t max_broken_in_row = 10;

void append_lines(const std::filesystem::path& path, const std::vector<std::string>& texts) {
  std::ofstream out(path, std::ios::binary | std::ios::app);
  for (const std::string& text : texts) out << text;
  out.close();
  if (!out) throw Error(ErrorKind::io, "[records] cannot be written", path.string());
}

}  // namespace

void record_bad(Session& session, const data::StepBatches& batches, std::int64_t bad,
                std::int64_t seen) {
  if (bad == 0) return;
  std::string lines;
  for (const data::BadSample& one : batches.bad) {
    nlohmann::ordered_json json;
    json["step"] = session.cursor.step + 1;
    json["position"] = one.position;
    json["sample"] = one.id;
    json["reason"] = one.reason;
    json["replacement"] = one.replacement;
    lines += json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  const auto all = dist::all_gather_text(*session.options.mesh, lines);
  if (session.leads()) append_lines(session.options.directory / "bad_samples.jsonl", all);
  if (session.cursor.bad == 0 && session.leads()) {
    log_warning("a sample could not be used and another stands in: see bad_samples.jsonl");
  }
  session.cursor.bad += bad;
  if (session.cursor.bad * 100 > std::max<std::int64_t>(seen, 1000)) {
    throw Error(ErrorKind::data,
                "[data] expected at most 1 % bad samples; got " +
                    std::to_string(session.cursor.bad) + " of " + std::to_string(seen),
                (session.options.directory / "bad_samples.jsonl").string(),
                "the file names each of them with its reason");
  }
}

void record_broken(Session& session, const StageData& data, std::int64_t step,
                   const std::vector<std::int64_t>& positions) {
  std::vector<std::string> ids;
  for (const std::int64_t position : positions) {
    const data::Place place = data.order.at(position);
    std::string id = "position " + std::to_string(position);
    try {
      id = data.sources[static_cast<std::size_t>(place.source)]->read(place.index).id;
    } catch (const Error&) {  // it was bad: bad_samples.jsonl says what stood in for it
    }
    ids.push_back(id);
  }
  nlohmann::ordered_json json;
  json["step"] = step;
  json["rank"] = session.options.mesh->rank();
  json["samples"] = ids;
  const auto all = dist::all_gather_text(
      *session.options.mesh,
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  if (!session.leads()) return;
  append_lines(session.options.directory / "broken_steps.jsonl", all);
  log_warning("step " + std::to_string(step) +
              ": the loss or its gradient is not finite; the step changes nothing, its samples are "
              "in broken_steps.jsonl");
}

report::Row row_of(const std::string& text) {
  report::Row row;
  const auto json = nlohmann::ordered_json::parse(text);
  for (const auto& [key, value] : json.items()) {
    if (key == "step") {
      row.step = value;
    } else if (key == "stage") {
      row.stage = value;
    } else {  // strtod reads "nan" and "inf" too
      const std::string number = value.is_string() ? value.get<std::string>()
                                 : value.is_null() ? "nan"
                                                   : "";
      row.values.emplace_back(
          key, number.empty() ? value.get<double>() : std::strtod(number.c_str(), nullptr));
    }
  }
  return row;
}

void stop_when_broken(const Session& session) {
  if (session.cursor.broken_in_row < max_broken_in_row) return;
  throw Error(
      ErrorKind::numerics,
      "[numerics] expected finite losses and gradients; got " + std::to_string(max_broken_in_row) +
          " steps in a row without",
      (session.options.directory / "broken_steps.jsonl").string(),
      "a smaller learning rate, a longer warm-up or clipping; the last checkpoint is whole");
}

}  // namespace tandem::train
