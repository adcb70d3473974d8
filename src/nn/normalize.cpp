#include "tandem/nn/normalize.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "tandem/base/error.h"

namespace tandem::nn {
namespace {

std::atomic<NormalizeOnGpu> gpu_kernel{nullptr};

using Table = std::array<std::array<float, 256>, 3>;

// A byte has 256 values: on a CPU they are looked up, one pass over the picture.
Table table_of(const PixelStatistics& s) {
  Table table{};
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t x = 0; x < 256; ++x) {
      const float scaled = static_cast<float>(x) / 255.0F - static_cast<float>(s.mean[c]);
      table[c][x] = scaled / static_cast<float>(s.std[c]);
    }
  }
  return table;
}

at::Tensor normalize_on_cpu(const at::Tensor& pixels, const PixelStatistics& statistics) {
  const at::Tensor bytes = pixels.contiguous();
  at::Tensor out = at::empty(bytes.sizes(), bytes.options().dtype(at::kFloat));
  const Table table = table_of(statistics);
  const std::int64_t planes = bytes.size(0) * 3, plane = bytes.size(2) * bytes.size(3);
  const auto* const from = bytes.const_data_ptr<std::uint8_t>();
  auto* const to = out.mutable_data_ptr<float>();
  const std::int64_t grain = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(plane, 1));
  at::parallel_for(0, planes, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p) {
      const auto& values = table[static_cast<std::size_t>(p % 3)];
      for (std::int64_t i = p * plane; i < (p + 1) * plane; ++i) to[i] = values[from[i]];
    }
  });
  return out;
}

}  // namespace

void set_normalize_kernel(NormalizeOnGpu kernel) { gpu_kernel = kernel; }

at::Tensor normalize_pixels_aten(const at::Tensor& pixels, const PixelStatistics& s) {
  at::Tensor out = pixels.to(at::kFloat).div_(255.0);
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto i = static_cast<std::size_t>(c);
    out.select(1, c).sub_(static_cast<float>(s.mean[i])).div_(static_cast<float>(s.std[i]));
  }
  return out;
}

at::Tensor normalize_pixels(const at::Tensor& pixels, const PixelStatistics& statistics) {
  TANDEM_CHECK(pixels.dim() == 4 && pixels.size(1) == 3,
               "[normalize_pixels] expected pixels [B, 3, H, W]");
  if (pixels.is_floating_point()) return pixels;
  TANDEM_CHECK(pixels.scalar_type() == at::kByte, "[normalize_pixels] expected uint8 pixels");
  if (pixels.is_cpu()) return normalize_on_cpu(pixels, statistics);
  const NormalizeOnGpu kernel = gpu_kernel;
  return kernel != nullptr && pixels.is_cuda() ? kernel(pixels, statistics)
                                               : normalize_pixels_aten(pixels, statistics);
}

}  // namespace tandem::nn
