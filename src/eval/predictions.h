#pragma once
// Predictions as JSON lines: made on the rank that ranked the query, put together on rank 0.

#include <cmath>
#include <string>
#include <vector>

#include "tandem/eval/task.h"

namespace tandem::eval {

// Six decimals of a score are written.
inline double rounded(double score) { return std::round(score * 1e6) / 1e6; }

struct Prediction {
  struct Answer {
    std::string id{};
    std::int64_t row = 0;
    double score = 0;
    bool right = false;
  };
  std::string kind{}, query{};
  std::int64_t place = 0;   // of the first right one, as recall counts it
  std::int64_t number = 0;  // of the query
  std::vector<Answer> answers{};
};

// {"query": "image_to_text", "id": ..., "place": 0, "top": [ids], "scores": [...]}
std::string json_of(const Prediction& one);

class LinesOfRanks {
 public:
  LinesOfRanks(const dist::Mesh& mesh, std::int64_t queries) : mesh_(mesh), queries_(queries) {}
  // Whether this rank has the query's hits (ranking.h).
  bool mine(std::int64_t query) const;
  // In the order of the queries that are mine.
  void add(const Prediction& one) { kept_.push_back(one); }
  // All ranks call it. Rank 0: `out.lines` in the order of the queries, and the first out.samples
  // predictions; the others: nothing.
  std::vector<Prediction> gather(Predictions& out);

 private:
  const dist::Mesh& mesh_;
  std::int64_t queries_;
  std::vector<Prediction> kept_{};
};

}  // namespace tandem::eval
