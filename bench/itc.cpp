// ITC forward and backward on features alone:  bench_itc PAIRS WIDTH CHUNK REPEATS
// CHUNK 0 is the plain form. Prints one line of JSON: the value, milliseconds of each repeat, and
// how far the resident size grew above what the inputs take.

#include "tandem/objectives/itc.h"

#include <ATen/Context.h>
#include <ATen/ops/div.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

at::Tensor features(std::int64_t pairs, std::int64_t width) {
  at::Tensor x = at::randn({pairs, width});
  x.div_(at::linalg_vector_norm(x, 2, {-1}, /*keepdim=*/true));
  return x.set_requires_grad(true);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  const std::int64_t pairs = std::atoll(argv[1]), width = std::atoll(argv[2]);
  at::manual_seed(1);
  at::Tensor image = features(pairs, width), text = features(pairs, width);
  at::Tensor scale = at::tensor(2.6592).set_requires_grad(true);
  const tandem::dist::Mesh mesh;
  {  // what LibTorch allocates at its first products is not the loss's
    at::Tensor a = features(64, width), b = features(64, width);
    tandem::objectives::itc(a, b, scale, mesh, {.chunk = 32}).sum.backward();
  }
  const double before = peak_mib();
  std::string times;
  double value = 0;
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto term =
        tandem::objectives::itc(image, text, scale, mesh, {.chunk = std::atoll(argv[3])});
    const at::Tensor loss = at::div(term.sum, term.count);
    loss.backward();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    value = loss.item<double>();
    times += (i == 0 ? "" : ", ") + std::to_string(took.count());
  }
  std::printf("{\"loss\": %.9g, \"ms\": [%s], \"above_inputs_mib\": %.1f}\n", value, times.c_str(),
              peak_mib() - before);
  return 0;
}
