// The loss of the next word:  bench_lm_loss FORM TOKENS VOCABULARY WIDTH REPEATS
// FORM: pieces (objectives::lm_loss), plain (linear and cross_entropy on all scores), and
// pieces-eval, plain-eval without a gradient. Every token has a label. Prints one line of JSON: the
// value, the norms of both gradients, milliseconds of each repeat, and how far the resident
// size grew above that of weights, hidden states and their gradients.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "recorded.h"
#include "tandem/base/error.h"
#include "tandem/objectives/lm.h"

namespace {

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

at::Tensor loss_of(bool pieces, const at::Tensor& hidden, const at::Tensor& weight,
                   const at::Tensor& labels) {
  if (!pieces) return at::cross_entropy_loss(at::linear(hidden, weight), labels);
  const auto term =
      tandem::objectives::lm_loss(hidden, weight, labels, tandem::objectives::host_count(labels));
  return term.sum / term.count;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  bench::keep_freed_memory();
  const std::string form = argv[1];
  const bool pieces = form.starts_with("pieces"), learns = !form.ends_with("-eval");
  const std::int64_t tokens = std::atoll(argv[2]), words = std::atoll(argv[3]),
                     width = std::atoll(argv[4]);
  at::manual_seed(1);
  at::Tensor hidden = at::randn({tokens, width}), weight = at::randn({words, width}).mul_(0.02);
  const at::Tensor labels = at::randint(words, {tokens}, at::kLong);
  {  // what LibTorch allocates at its first products is not the loss's
    at::Tensor h = at::randn({64, width}).set_requires_grad(true),
               w = at::randn({1024, width}).set_requires_grad(true);
    loss_of(pieces, h, w, at::randint(1024, {64}, at::kLong)).backward();
  }
  hidden.set_requires_grad(learns);
  weight.set_requires_grad(learns);
  const double gradients =
      learns ? static_cast<double>(hidden.nbytes() + weight.nbytes()) / (1 << 20) : 0;
  const double before = peak_mib();
  std::string times;
  double value = 0, norm = 0, above = 0;
  for (int i = 0; i < std::atoi(argv[5]); ++i) {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor loss = loss_of(pieces, hidden, weight, labels);
    if (learns) loss.backward();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    value = loss.item<double>();
    times += (i == 0 ? "" : ", ") + std::to_string(took.count());
    above = peak_mib() - before - gradients;
    if (!learns) continue;
    norm = at::linalg_vector_norm(weight.grad()).item<double>() +
           at::linalg_vector_norm(hidden.grad()).item<double>();
    hidden.mutable_grad() = weight.mutable_grad() = at::Tensor();
  }
  std::printf("{\"loss\": %.9g, \"norm\": %.9g, \"ms\": [%s], \"above_mib\": %.1f}\n", value, norm,
              times.c_str(), above);
  return 0;
}
