// Tables of words and of places from weights that were made for others.

#include "tandem/models/word_rows.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "models/vilt/model.h"
#include "tandem/base/error.h"
#include "tandem/models/outline.h"
#include "tandem/models/weights.h"
#include "tandem/text/kinds.h"

namespace word_rows_test {

using namespace tandem;
using namespace tandem::models;

namespace {

const std::string table = "vilt.embeddings.text_embeddings.word_embeddings.weight";
const std::string places = "vilt.embeddings.text_embeddings.position_embeddings.weight";
const std::string bias = "mlm_score.decoder.bias";

text::Tokenizer words_of(const std::vector<std::string>& lines) {
  return text::train_wordpiece(lines, 60);
}

vilt::Config small(std::int64_t rows, std::int64_t length = 8) {
  vilt::Config c;
  c.width = 8;
  c.layers = 1;
  c.heads = 2;
  c.image_size = c.patch_size = 8;
  c.text.vocab_size = rows;
  c.text.context_length = length;
  c.text.pad_id = 0;
  return c;
}

std::map<std::string, at::Tensor> weights_of(const Model& model) {
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, value] : model.parameters()) weights[name] = value.detach().clone();
  return weights;
}

struct Setting {
  text::Tokenizer theirs = words_of({"red green blue", "a red house"});
  text::Tokenizer ours = words_of({"the blue red boat", "a red boat"});
  vilt::ViltModel before{small(theirs.vocab_size()), Key(1)};
  vilt::ViltModel now{small(ours.vocab_size()), Key(2)};
  const RowTables& tables = family("vilt").rows;
};

}  // namespace

TEST_CASE("rows of words follow their tokens, new tokens begin anew") {
  Setting s;
  auto weights = weights_of(s.before);
  const auto begun = weights_of(s.now);
  const auto given = weights;
  const RefitRows rows = refit_rows(weights, s.now, s.tables, s.theirs, s.ours);
  std::int64_t matched = 0;
  for (std::int32_t id = 0; id < s.ours.vocab_size(); ++id) {
    const auto there = s.theirs.id_of(s.ours.token_of(id));
    CAPTURE(s.ours.token_of(id));
    const at::Tensor& from = there ? given.at(table)[*there] : begun.at(table)[id];
    CHECK(at::equal(weights.at(table)[id], from));
    CHECK(at::equal(weights.at(bias)[id], there ? given.at(bias)[*there] : begun.at(bias)[id]));
    matched += there ? 1 : 0;
  }
  CHECK(rows.by_token);
  CHECK(rows.tables == 3);  // the words, the head's matrix and its bias
  CHECK(rows.matched == matched);
  CHECK(matched > 8);
  CHECK(rows.fresh == s.ours.vocab_size() - matched);
  CHECK(rows.fresh > 0);
  CHECK(rows.left_out == s.theirs.vocab_size() - matched);
  CHECK(rows.text() == std::to_string(matched) + " tokens keep their rows, " +
                           std::to_string(rows.fresh) + " begin anew, " +
                           std::to_string(rows.left_out) +
                           " of theirs are left out (3 tables, matched by token)");
  take_weights(s.now, weights);  // fits
  // Everything else is as it was.
  for (const auto& [name, value] : given) {
    if (name != table && name.find("mlm_score.decoder") == std::string::npos) {
      CHECK(at::equal(weights.at(name), value));
    }
  }
}

TEST_CASE("words that are the same change nothing") {
  Setting s;
  auto weights = weights_of(s.before);
  const auto given = weights;
  vilt::ViltModel again(small(s.theirs.vocab_size()), Key(3));
  for (const text::Tokenizer& theirs : {s.theirs, text::Tokenizer()}) {
    const RefitRows rows = refit_rows(weights, again, s.tables, theirs, s.theirs);
    CHECK(rows.text().empty());
    CHECK(at::equal(weights.at(table), given.at(table)));
  }
}

TEST_CASE("where the words are not known a table may grow at its end, and not shrink") {
  Setting s;
  auto weights = weights_of(s.before);
  const auto given = weights;
  const std::int64_t old = s.theirs.vocab_size();
  vilt::ViltModel larger(small(old + 3), Key(3)), smaller(small(old - 3), Key(3));
  const RefitRows rows = refit_rows(weights, larger, s.tables, {}, s.ours);
  CHECK(rows.tables == 3);
  CHECK_FALSE(rows.by_token);
  CHECK(at::equal(weights.at(table).narrow(0, 0, old), given.at(table)));
  CHECK(at::equal(weights.at(table).narrow(0, old, 3),
                  weights_of(larger).at(table).narrow(0, old, 3)));
  take_weights(larger, weights);
  weights = given;
  CHECK(refit_rows(weights, smaller, s.tables, {}, s.ours).text().empty());
  CHECK_THROWS_WITH(take_weights(smaller, weights), Catch::Contains(table + " is ["));
}

TEST_CASE("marks that a model adds behind its tokens keep their rows") {
  Setting s;
  vilt::ViltModel before(small(s.theirs.vocab_size() + 2), Key(1));
  vilt::ViltModel now(small(s.ours.vocab_size() + 2), Key(2));
  auto weights = weights_of(before);
  const at::Tensor given = weights.at(table).clone();
  refit_rows(weights, now, s.tables, s.theirs, s.ours);
  CHECK(at::equal(weights.at(table).narrow(0, s.ours.vocab_size(), 2),
                  given.narrow(0, s.theirs.vocab_size(), 2)));
}

TEST_CASE("a table of as many rows keeps the marks behind all tokens where they are") {
  Setting s;
  const std::int64_t rows = std::max(s.theirs.vocab_size(), s.ours.vocab_size()) + 2;
  REQUIRE(s.theirs.vocab_size() != s.ours.vocab_size());
  vilt::ViltModel before(small(rows), Key(1)), now(small(rows), Key(2));
  auto weights = weights_of(before);
  const at::Tensor given = weights.at(table).clone();
  refit_rows(weights, now, s.tables, s.theirs, s.ours);
  CHECK(at::equal(weights.at(table).narrow(0, rows - 2, 2), given.narrow(0, rows - 2, 2)));
  const auto red = *s.ours.id_of("red");
  CHECK(at::equal(weights.at(table)[red], given[*s.theirs.id_of("red")]));
}

TEST_CASE("longer texts get places at the end of the table") {
  Setting s;
  auto weights = weights_of(s.before);
  const at::Tensor given = weights.at(places).clone();
  vilt::ViltModel longer(small(s.theirs.vocab_size(), 12), Key(3));
  const RefitRows rows = refit_rows(weights, longer, s.tables, s.theirs, s.theirs);
  CHECK(rows.text() == places + " gets places at its end");
  CHECK(at::equal(weights.at(places).narrow(0, 0, 8), given));
  CHECK(
      at::equal(weights.at(places).narrow(0, 8, 4), weights_of(longer).at(places).narrow(0, 8, 4)));
  take_weights(longer, weights);
}

TEST_CASE("every system's tables of words are named") {
  for (const Family& family : families()) {
    CAPTURE(family.name);
    const std::vector<std::string> lines{"a red house", "the green boat"};
    const text::Tokenizer tokenizer = text::train_tokenizer(family.vocabulary, lines, 600);
    const auto settings = family.settings();
    family.fit_vocabulary(*settings, tokenizer);
    const auto outline = make_outline(family, *settings);
    std::int64_t found = 0;
    for (const auto& [name, value] : outline->parameters()) {
      for (const std::string& end : family.rows.words) {
        if (!name.ends_with("." + end) && name != end) continue;
        CAPTURE(name, value.sizes());
        CHECK(value.size(0) >= tokenizer.vocab_size());
        ++found;
      }
    }
    CHECK(found > 0);
  }
}

}  // namespace word_rows_test
