#include "models/kept_tower.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

#include "tandem/base/hash.h"
#include "tandem/base/log.h"

namespace tandem::models {

// The file's name is a hash of the tower; what it holds is opened once its shape is known.
void KeptTower::open(const KeptSettings& settings, const NamedTensors& weights,
                     const at::Tensor& first) {
  Hash128 hash;
  for (const auto& [name, tensor] : weights) {
    const at::Tensor host = tensor.detach().cpu().contiguous();
    hash.add(name.data(), name.size());
    hash.add(host.const_data_ptr(), static_cast<std::size_t>(host.nbytes()));
  }
  key_ = hash.hex();
  const data::KeptShape shape{.places = settings.pictures,
                              .rows = first.size(1),
                              .width = first.size(2),
                              .half = settings.half};
  const std::filesystem::path file = std::filesystem::path(settings.folder) /
                                     (key_ + (settings.half ? ".bf16" : ".fp32") + ".rows");
  log_info("features: " + file.string() + ", " + std::to_string(shape.bytes_of_file() >> 20) +
           " MiB for " + std::to_string(shape.places) + " pictures");
  kept_ = std::make_shared<data::KeptRows>(file, key_, shape);
}

at::Tensor KeptTower::computed(const at::Tensor& pixels,
                               const std::function<at::Tensor(const at::Tensor& pixels)>& tower) {
  const at::NoGradGuard no_grad;
  runs_ += pixels.size(0);
  return tower(pixels).detach().to(at::kCPU, at::kFloat);
}

at::Tensor KeptTower::rows(const at::Tensor& pixels, const KeptSettings& settings,
                           const std::function<NamedTensors()>& weights,
                           const std::function<at::Tensor(const at::Tensor& pixels)>& tower) {
  const at::Tensor host = pixels.cpu().contiguous();
  const std::int64_t size = host.size(0), bytes = host.nbytes() / std::max<std::int64_t>(size, 1);
  if (!kept_) open(settings, weights(), computed(pixels.narrow(0, 0, 1), tower));
  const auto* from = static_cast<const char*>(host.const_data_ptr());
  std::vector<std::string> hashes;
  std::vector<at::Tensor> rows;
  std::vector<std::int64_t> missing;
  for (std::int64_t i = 0; i < size; ++i) {
    hashes.push_back(hash128({from + i * bytes, static_cast<std::size_t>(bytes)}));
    rows.push_back(kept_->get(hashes.back()));
    if (!rows.back().defined()) missing.push_back(i);
  }
  if (!missing.empty()) {
    const at::Tensor chosen = at::tensor(missing, at::kLong).to(pixels.device());
    const at::Tensor fresh = computed(pixels.index_select(0, chosen), tower);
    for (std::size_t i = 0; i < missing.size(); ++i) {
      const auto place = static_cast<std::size_t>(missing[i]);
      const at::Tensor own = fresh[static_cast<std::int64_t>(i)];
      rows[place] = settings.half ? own.to(at::kBFloat16).to(at::kFloat) : own;
      if (!kept_->put(hashes[place], own) && !full_) {
        full_ = true;
        log_warning("features: no room for more pictures; the tower is run for those each time");
      }
    }
  }
  return at::stack(rows).to(pixels.device());
}

}  // namespace tandem::models
