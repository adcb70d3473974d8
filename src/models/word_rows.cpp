#include "tandem/models/word_rows.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "tandem/base/error.h"

namespace tandem::models {
namespace {

bool ends_in_any(const std::string& name, const std::vector<std::string>& ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const std::string& end) {
    const std::size_t before = name.size() - std::min(name.size(), end.size());
    return name.ends_with(end) && (before == 0 || name[before - 1] == '.');
  });
}

// Equal but for the number of rows.
bool differ_in_rows(const at::Tensor& a, const at::Tensor& b) {
  return a.dim() == b.dim() && a.dim() > 0 && a.sizes().slice(1) == b.sizes().slice(1) &&
         a.size(0) != b.size(0);
}

// Empty: there is none of that id.
std::string token_at(const text::Tokenizer& tokenizer, std::int32_t id) {
  try {
    return tokenizer.token_of(id);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    return {};
  }
}

// Rows of theirs and of ours that are the same token.
struct Matches {
  std::vector<std::int64_t> from{}, to{};
  bool same = true;                               // token for token
  std::int64_t their_tokens = 0, our_tokens = 0;  // behind them stand rows that a model adds
};

Matches matches_of(const text::Tokenizer& theirs, const text::Tokenizer& ours) {
  Matches found;
  found.their_tokens = theirs.vocab_size();
  found.our_tokens = ours.vocab_size();
  found.same = found.their_tokens == found.our_tokens;
  std::set<std::int32_t> taken;
  for (std::int32_t id = 0; id < ours.vocab_size(); ++id) {
    const std::string token = token_at(ours, id);
    const auto there = token.empty() ? std::nullopt : theirs.id_of(token);
    found.same = found.same && (token.empty() || there == id);
    if (!there || !taken.insert(*there).second) continue;
    found.from.push_back(*there);
    found.to.push_back(id);
  }
  return found;
}

at::Tensor as_begun(const at::Tensor& begun, const at::Tensor& like) {
  return begun.detach().cpu().to(like.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
}

// What the model began with, with the matched rows of `value` in their places. Rows behind the
// tokens (marks that a model adds to a vocabulary without them) go on in their order; in a table of
// as many rows (the settings are those of the weights, and with them the marks' ids) they stay.
at::Tensor by_token(const at::Tensor& begun, const at::Tensor& value, const Matches& matches) {
  std::vector<std::int64_t> from, to;
  const auto pair = [&](std::int64_t there, std::int64_t here) {
    if (there >= value.size(0) || here >= begun.size(0)) return false;
    from.push_back(there);
    to.push_back(here);
    return true;
  };
  for (std::size_t i = 0; i < matches.from.size(); ++i) pair(matches.from[i], matches.to[i]);
  const bool stay = begun.size(0) == value.size(0);
  const std::int64_t behind = std::max(matches.their_tokens, matches.our_tokens);
  std::int64_t theirs = stay ? behind : matches.their_tokens;
  std::int64_t ours = stay ? behind : matches.our_tokens;
  while (pair(theirs, ours)) {
    ++theirs;
    ++ours;
  }
  return as_begun(begun, value)
      .index_copy_(0, at::tensor(to), value.index_select(0, at::tensor(from)));
}

// The first rows from `value`, those behind them as the model began.
at::Tensor grown(const at::Tensor& begun, const at::Tensor& value) {
  at::Tensor table = as_begun(begun, value);
  table.narrow(0, 0, value.size(0)).copy_(value);
  return table;
}

}  // namespace

std::string RefitRows::text() const {
  std::string all;
  if (tables > 0) {
    all = std::to_string(matched) + " tokens keep their rows, " + std::to_string(fresh) +
          " begin anew" +
          (by_token ? ", " + std::to_string(left_out) + " of theirs are left out" : "") + " (" +
          std::to_string(tables) + (tables == 1 ? " table" : " tables") +
          (by_token ? ", matched by token)" : ", in the order of the rows)");
  }
  for (const std::string& name : longer) {
    all += (all.empty() ? "" : "; ") + name + " gets places at its end";
  }
  return all;
}

RefitRows refit_rows(std::map<std::string, at::Tensor>& weights, const Model& model,
                     const RowTables& tables, const text::Tokenizer& theirs,
                     const text::Tokenizer& ours) {
  const at::NoGradGuard no_grad;
  RefitRows report;
  Matches matches;
  if (!theirs.empty() && !ours.empty()) matches = matches_of(theirs, ours);
  report.by_token = !matches.same;
  NamedTensors all = model.parameters();
  for (auto& buffer : model.buffers()) all.push_back(std::move(buffer));
  for (const auto& [name, begun] : all) {
    const auto found = weights.find(name);
    if (found == weights.end()) continue;
    at::Tensor& value = found->second;
    const bool longer = differ_in_rows(value, begun) && value.size(0) < begun.size(0);
    if (ends_in_any(name, tables.places) && longer) {
      value = grown(begun, value);
      report.longer.push_back(name);
    } else if (ends_in_any(name, tables.words)) {
      const bool fits = differ_in_rows(value, begun) || value.sizes() == begun.sizes();
      if (report.by_token ? !fits : !longer) continue;
      report.matched =
          report.by_token ? static_cast<std::int64_t>(matches.from.size()) : value.size(0);
      value = report.by_token ? by_token(begun, value, matches) : grown(begun, value);
      ++report.tables;
    }
  }
  if (report.tables == 0) return report;
  const std::int64_t own = ours.empty() ? report.matched : ours.vocab_size();
  report.fresh = std::max<std::int64_t>(own - report.matched, 0);
  if (report.by_token) report.left_out = theirs.vocab_size() - report.matched;
  return report;
}

}  // namespace tandem::models
