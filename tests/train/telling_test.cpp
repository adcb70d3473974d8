#include "train/telling.h"

#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>

namespace telling_test {

using namespace tandem;

namespace {

Tokens row(const std::vector<std::int64_t>& ids, const std::vector<std::int64_t>& labels) {
  Tokens tokens;
  tokens.ids = at::tensor(ids, at::kLong).unsqueeze(0);
  tokens.labels = at::tensor(labels, at::kLong).unsqueeze(0);
  tokens.mask = at::ones_like(tokens.ids);
  return tokens;
}

}  // namespace

TEST_CASE("what is learned of a sample stands in brackets, pictures as their number") {
  const text::Tokenizer bytes = text::train_bpe({}, 257, text::BpeKind::gpt2);
  const auto id = [&](const char* letter) {
    return static_cast<std::int64_t>(bytes.encode(letter).at(0));
  };
  const std::int64_t a = id("a"), b = id("b"), end = 256;
  CHECK(train::marked_text(
            row({a, -200, -200, -200, b, b, end}, {-100, -100, -100, -100, b, b, end}), bytes) ==
        "a<picture x 3>[[bb<|endoftext|>]]");
  CHECK(train::marked_text(row({a, b, a}, {a, -100, a}), bytes) == "[[a]]b[[a]]");
  CHECK(train::marked_text(row({a, a, a, b}, {-100, -100, -100, -100}), bytes) == "<a x 3>b");
  CHECK(train::marked_text(row({a, b, a, b, a, b, a, b}, {a, b, a, b, a, b, a, b}), bytes, 8) ==
        "[[ab ... ab]]");
}

}  // namespace telling_test
