#include "eval/predictions.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "tandem/base/error.h"
#include "tandem/eval/ranking.h"

namespace tandem::eval {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

std::string json_of(const Prediction& one) {
  Json json{{"query", one.kind}, {"id", one.query}, {"place", one.place}};
  json["top"] = Json::array();
  json["scores"] = Json::array();
  for (const Prediction::Answer& answer : one.answers) {
    json["top"].push_back(answer.id);
    json["scores"].push_back(rounded(answer.score));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool LinesOfRanks::mine(std::int64_t query) const {
  return rank_of_query(mesh_, query) == mesh_.rank();
}

std::vector<Prediction> LinesOfRanks::gather(Predictions& out) {
  std::string text;
  for (const Prediction& one : kept_) text += json_of(one) + "\n";
  std::vector<std::istringstream> parts;
  for (const std::string& of_rank : dist::all_gather_text(mesh_, text)) parts.emplace_back(of_rank);
  std::vector<Prediction> first;
  if (mesh_.rank() != 0) return first;
  std::size_t own = 0;
  for (std::int64_t query = 0; query < queries_; ++query) {
    std::string line;
    const bool there = static_cast<bool>(
        std::getline(parts[static_cast<std::size_t>(rank_of_query(mesh_, query))], line));
    TANDEM_CHECK(there, "[eval] a prediction is missing");
    out.lines.push_back(line);
    if (!mine(query)) continue;
    // The first block of queries is rank 0's: what a person sees does not depend on the ranks.
    if (query < out.samples) {
      first.push_back(kept_[own]);
      first.back().number = query;
    }
    ++own;
  }
  return first;
}

}  // namespace tandem::eval
