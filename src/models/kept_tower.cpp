#include "tandem/models/kept_tower.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "models/tensor_hash.h"
#include "tandem/base/hash.h"
#include "tandem/base/log.h"

namespace tandem::models {
data::KeptShape kept_shape(const KeptSettings& settings, const TowerPart& part) {
  constexpr std::int64_t spare = 16;  // and a quarter of the pictures
  return {.places = settings.pictures + settings.pictures / 4 + spare,
          .rows = part.rows,
          .width = part.width,
          .half = settings.half};
}

KeptTower::KeptTower(const KeptSettings& settings, const TowerPart& part) : half_(settings.half) {
  const std::string key = hash_of({part.settings, settings.made_by}, part.weights);
  const data::KeptShape shape = kept_shape(settings, part);
  const std::filesystem::path file =
      std::filesystem::path(settings.folder) /
      (key + "-" + std::to_string(settings.pictures) + (half_ ? ".bf16" : ".fp32") + ".rows");
  path_ = file.string();
  kept_ = std::make_unique<data::KeptRows>(file, key, shape);
}

at::Tensor KeptTower::computed(const at::Tensor& pixels, const Tower& tower) {
  const at::NoGradGuard no_grad;
  runs_ += pixels.size(0);
  return tower(pixels).detach().to(at::kCPU, at::kFloat);
}

at::Tensor KeptTower::rows(const at::Tensor& pixels, const Tower& tower) {
  const at::Tensor host = pixels.cpu().contiguous();
  const std::int64_t size = host.size(0), bytes = host.nbytes() / std::max<std::int64_t>(size, 1);
  asked_ += size;
  const auto* from = static_cast<const char*>(host.const_data_ptr());
  std::vector<std::string> hashes;
  std::vector<at::Tensor> rows;
  std::vector<std::int64_t> missing;
  for (std::int64_t i = 0; i < size; ++i) {
    hashes.push_back(hash128({from + i * bytes, static_cast<std::size_t>(bytes)}));
    rows.push_back(kept_->get(hashes.back()));
    if (!rows.back().defined()) missing.push_back(i);
  }
  if (kept_->damaged() > 0 && !damaged_) {
    damaged_ = true;
    log_warning("features: rows of " + path_ +
                " are damaged, or were not written to their end; those are computed again");
  }
  if (!missing.empty()) {
    const at::Tensor chosen = at::tensor(missing, at::kLong).to(pixels.device());
    const at::Tensor fresh = computed(pixels.index_select(0, chosen), tower);
    for (std::size_t i = 0; i < missing.size(); ++i) {
      const auto place = static_cast<std::size_t>(missing[i]);
      const at::Tensor own = fresh[static_cast<std::int64_t>(i)];
      rows[place] = half_ ? own.to(at::kBFloat16).to(at::kFloat) : own;
      if (!kept_->put(hashes[place], own) && !full_) {
        full_ = true;
        log_warning("features: no room for more pictures in " + path_ +
                    "; the tower is run for those each time: raise `cache.pictures`");
      }
    }
  }
  return at::stack(rows).to(pixels.device());
}

at::Tensor KeepsTower::tower_rows(const at::Tensor& pixels, bool training,
                                  const KeptTower::Tower& tower) const {
  const bool keeps = kept_ != nullptr && training && pixels.scalar_type() == at::kByte;
  return keeps ? kept_->rows(pixels, tower) : tower(pixels);
}

}  // namespace tandem::models
