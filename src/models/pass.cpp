#include "models/pass.h"

#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>
#include <unordered_set>

#include "tandem/nn/mask.h"

namespace tandem::models {

nn::BlockContext blocks_of(const StepContext& context, const char* pass) {
  return {.recompute = context.recompute, .key = context.key.fold(pass)};
}

const dist::Mesh& mesh_of(const StepContext& context) {
  static const dist::Mesh alone;
  return context.mesh != nullptr ? *context.mesh : alone;
}

bool asks(const LossRequest& request, const char* loss) { return request.weights.contains(loss); }

objectives::ItcOptions itc_options(const LossRequest& request) {
  return {.chunk = request.itc_chunk, .released = request.itc_released};
}

double ramped(double value, std::int64_t steps, std::int64_t step) {
  if (steps <= 0) return value;
  return value * std::min(1.0, static_cast<double>(step) / static_cast<double>(steps));
}

at::Tensor unit_rows(const at::Tensor& x, double least) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor length = at::linalg_vector_norm(wide, 2, {-1}, /*keepdim=*/true);
  return wide / (least > 0 ? length.clamp_min(least) : length);
}

nn::PixelStatistics statistics_of(const vision::ImageSettings& image) {
  nn::PixelStatistics statistics;
  for (std::size_t i = 0; i < 3; ++i) {
    statistics.mean[i] = image.mean[i];
    statistics.std[i] = image.std[i];
  }
  return statistics;
}

std::vector<std::int64_t> ends_of_pack(const Tokens& text) {
  std::vector<std::int64_t> ends{0};
  for (const std::int64_t length : text.lengths) ends.push_back(ends.back() + length);
  return ends.back() == text.ids.size(1) ? ends : nn::ends_of_segments(text.segments);
}

NamedTensors parameters_of(const torch::nn::Module& module, const std::string& prefix) {
  NamedTensors all;
  std::unordered_set<const void*> seen;
  for (const auto& item : module.named_parameters()) {
    if (seen.insert(item.value().unsafeGetTensorImpl()).second) {
      all.emplace_back(prefix + item.key(), item.value());
    }
  }
  return all;
}

}  // namespace tandem::models
