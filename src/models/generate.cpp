#include "tandem/models/generate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tandem/base/error.h"
#include "tandem/models/generate_steps.h"

namespace tandem::models {
namespace {

using Ids = std::vector<std::int64_t>;

constexpr float hopeless = -1e9F;
constexpr double hidden = -std::numeric_limits<double>::infinity();

at::Tensor tensor_of(const std::vector<Ids>& texts, const at::Device& device) {
  const auto length = static_cast<std::int64_t>(texts[0].size());
  at::Tensor ids = at::empty({static_cast<std::int64_t>(texts.size()), length}, at::kLong);
  auto* out = ids.mutable_data_ptr<std::int64_t>();
  for (const Ids& text : texts) out = std::copy(text.begin(), text.end(), out);
  return ids.to(device);
}

std::vector<Ids> rows_of(const at::Tensor& prompt) {
  const at::Tensor host = prompt.to(at::kCPU, at::kLong).contiguous();
  const auto* data = host.const_data_ptr<std::int64_t>();
  std::vector<Ids> rows;
  for (std::int64_t i = 0; i < host.size(0); ++i) {
    rows.emplace_back(data + i * host.size(1), data + (i + 1) * host.size(1));
  }
  return rows;
}

// Scores [N, V] of the next token as the rules change them. Also applied to logarithms of
// probabilities (beams).
at::Tensor ruled(at::Tensor scores, const at::Tensor& ids, const Ids& ends,
                 const GenerateOptions& o) {
  if (o.repetition_penalty != 1) {
    const at::Tensor seen = scores.gather(1, ids);
    const at::Tensor changed =
        at::where(seen.lt(0), seen * o.repetition_penalty, seen / o.repetition_penalty);
    scores = scores.scatter(1, ids, changed);
  }
  if (ids.size(1) < o.min_length) {
    scores = scores.clone();
    for (const std::int64_t end : ends) scores.select(1, end).fill_(hidden);
  }
  return scores;
}

// Scores of which a token is drawn.
at::Tensor narrowed(at::Tensor scores, const GenerateOptions& o) {
  if (o.temperature != 1) scores = scores / o.temperature;
  if (o.top_k > 0 && o.top_k < scores.size(1)) {
    const at::Tensor least = std::get<0>(scores.topk(o.top_k, 1)).select(1, -1).unsqueeze(1);
    scores = scores.masked_fill(scores.lt(least), hidden);
  }
  if (o.top_p < 1) {
    const auto [sorted, order] = scores.sort(1);
    at::Tensor away = at::softmax(sorted, 1).cumsum(1).le(1 - o.top_p);
    away.select(1, -1).fill_(false);
    scores = scores.masked_fill(away.scatter(1, order, away), hidden);
  }
  return scores;
}

at::Tensor draw(const at::Tensor& scores, std::int64_t position, const GenerateOptions& o) {
  const at::Tensor steps = at::softmax(scores, 1).to(at::kCPU, at::kDouble).cumsum(1).contiguous();
  at::Tensor tokens = at::empty({steps.size(0)}, at::kLong);
  const std::int64_t words = steps.size(1);
  for (std::int64_t i = 0; i < steps.size(0); ++i) {
    const auto* row = steps.const_data_ptr<double>() + i * words;
    const Key own = o.keys.empty() ? o.key.fold(static_cast<std::uint64_t>(i))
                                   : o.keys.at(static_cast<std::size_t>(i));
    const double at =
        Random(own.fold(static_cast<std::uint64_t>(position))).uniform() * row[words - 1];
    const auto* found = std::upper_bound(row, row + words, at);
    tokens.mutable_data_ptr<std::int64_t>()[i] = std::min<std::int64_t>(found - row, words - 1);
  }
  return tokens;
}

bool is_end(std::int64_t token, const Ids& ends) {
  return std::find(ends.begin(), ends.end(), token) != ends.end();
}

std::vector<Ids> one_by_one(const NextOfStep& next, const at::Tensor& prompt, const Ids& ends,
                            const GenerateOptions& o) {
  std::vector<Ids> texts = rows_of(prompt);
  std::vector<bool> ended(texts.size(), false);
  std::vector<Ids> growing = texts;  // all of one length
  for (std::int64_t length = prompt.size(1); length < o.max_length; ++length) {
    if (std::all_of(ended.begin(), ended.end(), [](bool done) { return done; })) break;
    const at::Tensor ids = tensor_of(growing, prompt.device());
    const at::Tensor scores =
        ruled(next({length == prompt.size(1), ids, {}}).to(at::kFloat), ids, ends, o);
    const at::Tensor tokens =
        o.sample ? draw(narrowed(scores, o), length, o) : scores.argmax(1).to(at::kCPU);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::int64_t token = tokens.const_data_ptr<std::int64_t>()[i];
      growing[i].push_back(token);
      if (ended[i]) continue;
      texts[i].push_back(token);
      ended[i] = is_end(token, ends);
    }
  }
  return texts;
}

// --- Beams -----------------------------------------------------------------------------------

struct Beam {
  Ids ids{};
  float score = hopeless;
  bool done = false;
  std::int64_t from = 0;  // the row of the last call that it goes on from
};

// The beams of one picture.
struct Search {
  std::vector<Beam> running, finished;
  bool hopeful = true;  // a running one may still become better than a finished one
};

// The first `count` by descending score; equal ones keep their order.
std::vector<Beam> best_of(std::vector<Beam> beams, std::size_t count) {
  std::stable_sort(beams.begin(), beams.end(),
                   [](const Beam& a, const Beam& b) { return a.score > b.score; });
  beams.resize(count);
  return beams;
}

// candidates: by descending score, `done` where the text ends here. length: of their new tokens.
void advance(Search& search, const std::vector<Beam>& candidates, std::int64_t length,
             double length_penalty) {
  const std::size_t beams = search.running.size();
  const auto divisor = static_cast<float>(std::pow(static_cast<double>(length), length_penalty));
  std::vector<Beam> going = candidates, merged = search.finished;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].done) going[i].score += hopeless;
    Beam ended = candidates[i];
    ended.score /= divisor;
    if (!search.hopeful) ended.score += hopeless;
    ended.done = ended.done && i < beams;  // the others are there so that some can go on
    if (!ended.done) ended.score += hopeless;
    merged.push_back(std::move(ended));
  }
  search.running = best_of(std::move(going), beams);
  search.finished = best_of(std::move(merged), beams);
  const float best = search.running[0].score / divisor;
  const float worst = search.finished.back().score;
  const auto beaten = [&](const Beam& beam) { return best > (beam.done ? worst : hopeless); };
  search.hopeful =
      search.hopeful && std::any_of(search.finished.begin(), search.finished.end(), beaten);
}

// What the model was asked last: the rows of each picture, and how many words it gave scores of.
struct Asked {
  std::int64_t first_row = 0;  // of this picture's beams
  bool shared = false;         // all of them stand in one row: the prompt
  std::int64_t words = 0;
};

std::vector<Beam> candidates_of(const Search& search, const float* scores,
                                const std::int64_t* indices, std::int64_t count, const Asked& asked,
                                const Ids& ends, bool last) {
  std::vector<Beam> candidates;
  for (std::int64_t j = 0; j < count; ++j) {
    Beam beam;
    const std::int64_t parent = indices[j] / asked.words;
    beam.ids = search.running[static_cast<std::size_t>(parent)].ids;
    beam.ids.push_back(indices[j] % asked.words);
    beam.score = scores[j];
    beam.done = last || is_end(beam.ids.back(), ends);
    beam.from = asked.first_row + (asked.shared ? 0 : parent);
    candidates.push_back(std::move(beam));
  }
  return candidates;
}

// The running beams of all prompts, as the model is asked about them.
struct Rows {
  std::vector<Ids> texts{};
  std::vector<float> scores{};
  Ids from{};

  explicit Rows(const std::vector<Search>& searches) {
    for (const Search& search : searches) {
      for (const Beam& beam : search.running) {
        texts.push_back(beam.ids);
        scores.push_back(beam.score);
        from.push_back(beam.from);
      }
    }
  }
};

std::vector<Ids> in_beams(const NextOfStep& next, const at::Tensor& prompt, const Ids& ends,
                          const GenerateOptions& o) {
  const auto beams = static_cast<std::size_t>(o.beams);
  const std::int64_t size = prompt.size(0), before = prompt.size(1);
  std::vector<Search> searches;
  for (const Ids& ids : rows_of(prompt)) {
    Search search{std::vector<Beam>(beams, Beam{ids}), std::vector<Beam>(beams, Beam{ids})};
    search.running[0].score = 0;  // the others begin as its copies and must not be counted
    searches.push_back(std::move(search));
  }
  const std::int64_t kept = std::max<std::int64_t>(2, 1 + static_cast<std::int64_t>(ends.size()));
  bool open = before < o.max_length;
  for (std::int64_t length = before; open; ++length) {
    const Rows rows(searches);
    const bool first = length == before;
    const at::Tensor ids = tensor_of(rows.texts, prompt.device());
    at::Tensor logits;
    if (first) {
      logits = next({true, prompt, {}}).repeat_interleave(o.beams, 0);
    } else {
      logits = next({false, ids, at::tensor(rows.from, at::kLong).to(prompt.device())});
    }
    const at::Tensor logs = ruled(at::log_softmax(logits.to(at::kFloat), 1), ids, ends, o);
    const std::int64_t words = logs.size(1), count = kept * o.beams;
    const at::Tensor sums =
        logs + at::tensor(rows.scores, at::kFloat).to(logs.device()).unsqueeze(1);
    const auto [top, index] = sums.view({size, o.beams * words}).topk(count, 1);
    const at::Tensor values = top.to(at::kCPU).contiguous();
    const at::Tensor places = index.to(at::kCPU).contiguous();
    const bool last = length + 1 >= o.max_length;
    bool hopeful = false, goes_on = false;
    for (std::int64_t i = 0; i < size; ++i) {
      Search& search = searches[static_cast<std::size_t>(i)];
      const Asked asked{first ? i : i * o.beams, first, words};
      const auto candidates = candidates_of(search, values.const_data_ptr<float>() + i * count,
                                            places.const_data_ptr<std::int64_t>() + i * count,
                                            count, asked, ends, last);
      for (const Beam& beam : candidates) goes_on = goes_on || !beam.done;
      advance(search, candidates, length + 1 - before, o.length_penalty);
      hopeful = hopeful || search.hopeful;
    }
    open = hopeful && goes_on;
  }
  std::vector<Ids> texts;
  for (Search& search : searches) texts.push_back(std::move(search.finished[0].ids));
  return texts;
}

std::vector<Ids> whole_texts(const NextOfStep& next, const at::Tensor& prompt, const Ids& ends,
                             const GenerateOptions& options) {
  TANDEM_CHECK(prompt.dim() == 2 && prompt.numel() > 0, "[generate] expected a prompt [B, T]");
  if (options.beams < 1 || (options.sample && options.beams > 1) ||
      !(options.top_p > 0 && options.top_p <= 1) || !(options.temperature > 0)) {
    throw Error(ErrorKind::config,
                "[generate] expected one beam or more, no draws with beams, top_p in (0, 1] and a "
                "temperature above 0");
  }
  const at::NoGradGuard no_grad;
  return options.beams > 1 ? in_beams(next, prompt, ends, options)
                           : one_by_one(next, prompt, ends, options);
}

}  // namespace

std::vector<Ids> generate(const NextLogits& next, const at::Tensor& prompt, std::int64_t end,
                          const GenerateOptions& options) {
  const at::Tensor rows = at::arange(prompt.size(0), prompt.options().dtype(at::kLong));
  const auto step = [&](const GenerationStep& s) {
    const std::int64_t beams = s.ids.size(0) / prompt.size(0);
    return next(s.ids, beams == 1 ? rows : rows.repeat_interleave(beams));
  };
  return whole_texts(step, prompt, {end}, options);
}

GenerateOptions keyed_by(GenerateOptions options, const std::vector<std::int64_t>& places) {
  options.keys.clear();
  for (const std::int64_t place : places) {
    options.keys.push_back(options.key.fold(static_cast<std::uint64_t>(place)));
  }
  return options;
}

std::vector<Ids> generate_steps(const NextOfStep& next, const at::Tensor& prompt,
                                const std::vector<std::int64_t>& ends,
                                const GenerateOptions& options) {
  GenerateOptions whole = options;
  whole.max_length += prompt.size(1);
  whole.min_length += prompt.size(1);
  std::vector<Ids> texts = whole_texts(next, prompt, ends, whole);
  for (Ids& text : texts) text.erase(text.begin(), text.begin() + prompt.size(1));
  return texts;
}

}  // namespace tandem::models
