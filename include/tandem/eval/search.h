#pragma once
// A query against a stored gallery. The order is that of ranking.h, so it is the evaluation's.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/eval/gallery.h"

namespace tandem::eval {

struct SearchQuery {
  std::string text{};
  std::string picture{};  // an encoded picture's bytes; one of the two
  bool in_texts = false;  // else among the pictures
  std::int64_t top = 10;
};

struct Found {
  std::int64_t place = 0;  // 1 = best
  double score = 0;
  std::string id{};    // of the picture; ID#N for its text N
  std::string text{};  // the text, or the picture's first
};

// Throws Error(config) when the gallery has no such rows or the model cannot embed, Error(data) for
// a picture that cannot be decoded.
std::vector<Found> search(const Gallery& gallery, models::Model& model,
                          const models::Processor& processor, const SearchQuery& query);

}  // namespace tandem::eval
