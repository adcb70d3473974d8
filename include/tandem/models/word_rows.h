#pragma once
// Weights from elsewhere whose tables have a row for each token of another vocabulary, or for each
// place of longer texts.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tandem/models/model.h"
#include "tandem/text/tokenizer.h"

namespace tandem::models {

struct RefitRows {
  std::int64_t tables = 0;              // tables of words that were made anew
  std::int64_t matched = 0, fresh = 0;  // rows of a table of words: tokens of both, of ours alone
  std::int64_t left_out = 0;            // tokens of theirs alone
  bool by_token = false;                // else the rows that both have are the first ones
  std::vector<std::string> longer{};    // tables of places that got rows at their end

  std::string text() const;  // for a person; empty: nothing was changed
};

// Gives the tables in `weights` (in our names, as Family::import_weights gives them) the rows of
// the model's. Of words, where both tokenizers are known and differ: each row is that of the same
// token there, and a token that only ours has keeps what the model began with; rows behind the
// tokens (marks that a model adds) go on in their order, or stay where the table has as many rows.
// Where theirs is not known (`theirs` empty), or is the same, tables may only grow at their end, as
// in the originals; any other difference is left for take_weights to refuse. Places may only grow,
// too. `model` is read, not changed.
RefitRows refit_rows(std::map<std::string, at::Tensor>& weights, const Model& model,
                     const RowTables& tables, const text::Tokenizer& theirs,
                     const text::Tokenizer& ours);

}  // namespace tandem::models
