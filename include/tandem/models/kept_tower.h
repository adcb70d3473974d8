#pragma once
// A frozen tower that is run once a picture: what it gave is kept on disk and read again in the
// epochs, stages and runs that follow (DESIGN 3, decision 9). The stage's `cache: features`.
//
// Letters: B pictures, S rows of each, D numbers of a row.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tandem/data/kept_rows.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::models {

// The part of a model whose output may be kept, as its family describes it.
struct TowerPart {
  std::int64_t rows = 0, width = 0;  // of a picture: [S, D]
  // Everything that the rows follow from beside the pixels: parameters by their names in the model,
  // and sizes, norms and statistics as text.
  NamedTensors weights{};
  std::string settings{};
  std::int64_t views = 1;  // how many pictures training makes of one
  // Training draws pictures anew in every epoch, so that no row could be read again: what to set
  // instead. Empty: it does not.
  std::string drawn_anew{};
};

struct KeptSettings {
  std::string folder{};       // of the files, one a tower
  std::int64_t pictures = 1;  // that there is room for
  bool half = false;          // bf16, else fp32
  std::string made_by{};      // what the bits of the rows depend on beside the part: cpu, fp32
};

// The file's shape, with places to spare: one finds its place by its hash.
data::KeptShape kept_shape(const KeptSettings& settings, const TowerPart& part);

class KeptTower {
 public:
  using Tower = std::function<at::Tensor(const at::Tensor& pixels)>;

  // Opens the file whose name is the hash of all that the rows follow from; it is made where there
  // is none. Throws Error(io), also for a full disk; Error(data) for a file that is cut or of
  // something else.
  KeptTower(const KeptSettings& settings, const TowerPart& part);

  // pixels uint8 [B, 3, H, W] -> fp32 [B, S, D], of `tower` where it is not kept yet (for those
  // pictures alone). In bf16 the first epoch sees the rounded rows, too, so that all are the same.
  at::Tensor rows(const at::Tensor& pixels, const Tower& tower);

  std::int64_t asked() const { return asked_; }  // pictures whose rows were wanted
  std::int64_t runs() const { return runs_; }    // of them, that went through the tower

 private:
  at::Tensor computed(const at::Tensor& pixels, const Tower& tower);

  std::unique_ptr<data::KeptRows> kept_;
  std::string path_{};
  bool half_ = false, full_ = false, damaged_ = false;
  std::int64_t asked_ = 0, runs_ = 0;
};

// What a model with such a tower is beside a models::Model.
class KeepsTower {
 public:
  virtual ~KeepsTower() = default;
  virtual TowerPart tower_part() const = 0;
  // From now on the rows of pictures in training stand there; null: they are computed.
  void keep_tower(std::shared_ptr<KeptTower> kept) { kept_ = std::move(kept); }

 protected:
  // What `tower` gives of raw pictures, uint8 [B, 3, H, W].
  at::Tensor tower_rows(const at::Tensor& pixels, bool training,
                        const KeptTower::Tower& tower) const;

 private:
  std::shared_ptr<KeptTower> kept_{};
};

}  // namespace tandem::models
