#include "tandem/nn/rotary.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/fused_rotary.h"
#include "tandem/base/error.h"

namespace tandem::nn {
namespace {

constexpr double pi = 3.14159265358979323846;

at::Tensor plain_frequencies(double theta, std::int64_t dim) {
  const at::Tensor power = at::arange(0, dim, 2, at::kFloat) / static_cast<double>(dim);
  return 1.0 / at::pow(at::Scalar(theta), power);
}

// Long waves are stretched, short ones kept, those between mixed. Source: Llama 3.1.
at::Tensor llama3_frequencies(const at::Tensor& plain, const RopeScaling& s) {
  const auto trained = static_cast<double>(s.trained);
  const double longest = trained / s.low_freq, shortest = trained / s.high_freq;
  const at::Tensor wave = 2 * pi / plain;
  const at::Tensor scaled = at::where(wave.gt(longest), plain / s.factor, plain);
  const at::Tensor share = (trained / wave - s.low_freq) / (s.high_freq - s.low_freq);
  const at::Tensor mixed = (1 - share) * scaled / s.factor + share * scaled;
  return at::where(wave.ge(shortest).logical_and(wave.le(longest)), mixed, scaled);
}

// Source: Peng et al. 2023 (YaRN).
at::Tensor yarn_frequencies(const at::Tensor& plain, const RopeShape& shape) {
  const RopeScaling& s = shape.scaling;
  const auto dim = static_cast<double>(shape.head_dim);
  const auto turning = [&](double turns) {
    return dim * std::log(static_cast<double>(s.trained) / (turns * 2 * pi)) /
           (2 * std::log(shape.theta));
  };
  double low = turning(s.beta_fast), high = turning(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  const at::Tensor ramp =
      ((at::arange(shape.head_dim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  return plain / s.factor * ramp + plain * (1 - ramp);
}

double yarn_attention(const RopeScaling& s) {
  const auto of = [&](double mscale) {
    return s.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(s.factor) + 1.0;
  };
  if (s.attention > 0) return s.attention;
  if (s.mscale > 0 && s.mscale_all > 0) return of(s.mscale) / of(s.mscale_all);
  return of(1);
}

at::Tensor half_turned(const at::Tensor& x) {
  const std::int64_t half = x.size(-1) / 2;
  return at::cat({-x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
}

}  // namespace

at::Tensor rope_frequencies(const RopeShape& shape, std::int64_t length) {
  const RopeScaling& s = shape.scaling;
  const auto dim = static_cast<double>(shape.head_dim);
  const at::Tensor plain = plain_frequencies(shape.theta, shape.head_dim);
  if (s.type == "default") return plain;
  if (s.type == "linear") return plain / s.factor;
  if (s.type == "llama3") return llama3_frequencies(plain, s);
  if (s.type == "yarn") return yarn_frequencies(plain, shape);
  TANDEM_CHECK(s.type == "dynamic", "[rotary] unknown scaling " + s.type);
  if (length <= s.trained) return plain;
  const double stretch =
      s.factor * static_cast<double>(length) / static_cast<double>(s.trained) - (s.factor - 1);
  return plain_frequencies(shape.theta * std::pow(stretch, dim / (dim - 2)), shape.head_dim);
}

Rotary rotary_of(const at::Tensor& angles, double attention) {
  const at::Tensor both = at::cat({angles, angles}, -1);
  if (attention == 1) return {both.cos(), both.sin()};
  return {both.cos() * attention, both.sin() * attention};
}

Rotary make_rotary(const RopeShape& shape, const at::Tensor& positions, std::int64_t length) {
  const at::Tensor frequencies = rope_frequencies(shape, length).to(positions.device());
  const double attention = shape.scaling.type == "yarn" ? yarn_attention(shape.scaling) : 1;
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * frequencies;
  if (shape.sections.empty()) {
    TANDEM_CHECK(positions.dim() == 2, "[rotary] expected positions [B, T]");
    return rotary_of(angles, attention);
  }
  const std::int64_t sum =
      std::accumulate(shape.sections.begin(), shape.sections.end(), std::int64_t{0});
  TANDEM_CHECK(positions.dim() == 3 && positions.size(0) == 3 && shape.sections.size() == 3 &&
                   sum == shape.head_dim / 2,
               "[rotary] expected positions [3, B, T] and sections that sum to head_dim / 2");
  std::vector<at::Tensor> parts;  // angles [3, B, T, d / 2]: each section from its own axis
  std::int64_t first = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t count = shape.sections[axis];
    parts.push_back(angles[static_cast<std::int64_t>(axis)].narrow(-1, first, count));
    first += count;
  }
  return rotary_of(at::cat(parts, -1), attention);
}

at::Tensor rotate(const at::Tensor& x, const Rotary& rotary) {
  if (const auto fused = fused_rotate(x, rotary, /*over=*/false)) return *fused;
  return rotate_aten(x, rotary);
}

at::Tensor rotate_aten(const at::Tensor& x, const Rotary& rotary) {
  const at::Tensor cos = rotary.cos.to(x.scalar_type()).unsqueeze(1);  // [B, 1, T, d]
  const at::Tensor sin = rotary.sin.to(x.scalar_type()).unsqueeze(1);
  return x * cos + half_turned(x) * sin;
}

std::pair<at::Tensor, at::Tensor> rotate_both(const at::Tensor& q, const at::Tensor& k,
                                              const Rotary& rotary) {
  const auto turn = [&](const at::Tensor& x) {
    const auto fused = fused_rotate(x, rotary, /*over=*/true);
    return fused ? *fused : rotate_aten(x, rotary);
  };
  const at::Tensor queries = turn(q), keys = turn(k);
  if (!rotary.query_scale.defined()) return {queries, keys};
  return {queries * rotary.query_scale.to(q.scalar_type()).unsqueeze(1), keys};
}

}  // namespace tandem::nn
