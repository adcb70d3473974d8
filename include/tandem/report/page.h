#pragma once
// `tandem report RUN...`: what runs left in their folders as one HTML page. Everything is in the
// file: drawings are SVG, pictures are data, no address is fetched (the page's own policy forbids
// it). Reads files only; a run may be going on meanwhile.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tandem/report/metrics.h"

namespace tandem::report {

// One line of stages.json.
struct StageInfo {
  std::string name{};
  std::int64_t first_step = 1, steps = 0, batch = 0;
  std::vector<std::pair<std::string, double>> losses{};            // weights
  std::map<std::string, std::pair<double, std::string>> chance{};  // value, "ln 64"
  std::vector<std::pair<std::string, std::int64_t>> sources{};     // samples that there are
};

struct SampleAnswer {
  std::string text{}, picture{};  // picture: the bytes of a PNG; empty: none
  double score = 0;
  bool right = false;
};
struct SampleQuery {
  std::string text{}, picture{};
  std::vector<SampleAnswer> answers{};
};
struct SampleSet {
  std::string name{};  // of the evaluation
  std::int64_t step = 0;
  std::vector<SampleQuery> queries{};
};

struct RunData {
  std::string name{};
  std::vector<Row> rows{};
  std::vector<StageInfo> stages{};
  std::vector<SampleSet> samples{};
  std::string command{}, environment{};            // command.txt, env.json
  std::int64_t bad_samples = 0, broken_steps = 0;  // lines of the files of that name
  std::map<std::string, std::string> config{};     // dotted key -> value; given by the caller
};

// Throws Error(config) where there is no metrics.jsonl, Error(data) for a line of it that is
// broken (but the last, which may be cut: the run goes on).
RunData read_run(const std::filesystem::path& directory);

// Runs in the order in which they are drawn and coloured; at least one.
std::string html_page(const std::vector<RunData>& runs);

}  // namespace tandem::report
