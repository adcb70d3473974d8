#include "tandem/nn/init.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "tandem/base/error.h"
#include "tandem/nn/outline.h"

namespace tandem::nn {
namespace {

// Streams of this many numbers, each with its own key: threads take whole ones.
constexpr std::int64_t block = 4096;

template <class Draw>
void fill(const at::Tensor& tensor, Key key, Draw draw) {
  if (tensor.is_meta() || Outline::drawn()) return;
  TANDEM_CHECK(tensor.is_contiguous() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat,
               "[init] expected a contiguous fp32 tensor on the CPU");
  const at::NoGradGuard no_grad;
  auto* const out = tensor.mutable_data_ptr<float>();
  const std::int64_t size = tensor.numel();
  at::parallel_for(0, (size + block - 1) / block, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      Random random(key.fold(static_cast<std::uint64_t>(b)));
      const std::int64_t end = std::min(size, (b + 1) * block);
      for (std::int64_t i = b * block; i < end; ++i) out[i] = static_cast<float>(draw(random));
    }
  });
}

}  // namespace

void fill_normal(at::Tensor tensor, double std, Key init, std::string_view name) {
  fill(tensor, init.fold(name), [std](Random& random) { return std * random.normal(); });
}

void fill_uniform(at::Tensor tensor, double bound, Key init, std::string_view name) {
  fill(tensor, init.fold(name), [bound](Random& random) { return random.uniform(-bound, bound); });
}

void fill_constant(at::Tensor tensor, double value) {
  const at::NoGradGuard no_grad;
  tensor.fill_(value);
}

void initialize_normal(const NamedTensors& parameters, double std, Key init) {
  for (const auto& [name, tensor] : parameters) {
    std::string low = name;
    std::transform(low.begin(), low.end(), low.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool bias = low.size() >= 4 && low.compare(low.size() - 4, 4, "bias") == 0;
    if (bias) {
      fill_constant(tensor, 0);
    } else if (low.find("norm") != std::string::npos) {
      fill_constant(tensor, 1);
    } else {
      fill_normal(tensor, std, init, name);
    }
  }
}

}  // namespace tandem::nn
