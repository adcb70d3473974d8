#pragma once
// What a frozen reference says of pairs of answers, on disk: log p of both, computed once a sample
// and read again in the epochs and starts that follow. Each sample is read alone, so that its
// values do not depend on those beside it: a run has the same bits whether they were there or not.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tandem/data/kept_rows.h"
#include "tandem/tensor/batch.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::models {

// Everything that the values follow from beside the sample; its hash names the file.
struct ReferenceFacts {
  NamedTensors weights{};
  std::string config{};
};

class KeptReference {
 public:
  // pairs: that there is to be room for; 0: nothing is kept.
  explicit KeptReference(std::int64_t pairs) : pairs_(pairs) {}

  void keep_in(const std::filesystem::path& folder);
  bool on() const { return pairs_ > 0 && !folder_.empty(); }

  // fp32 [B, 2] on the CPU, chosen and rejected; `compute` gives the two of a sample that is not
  // there yet, [2].
  at::Tensor values(const std::vector<Batch>& samples, const std::function<ReferenceFacts()>& facts,
                    const std::function<at::Tensor(const Batch& sample)>& compute);

 private:
  void open(const ReferenceFacts& facts);

  std::int64_t pairs_;
  std::filesystem::path folder_{};
  std::shared_ptr<data::KeptRows> kept_;
  bool full_ = false;
};

// The i-th sample of a batch or of a pack as a batch of one, without padding (which stands on the
// right). picture_ends: of Batch::patches, where each sample's pictures begin, and the end.
Batch sample_of(const Batch& batch, std::int64_t i, const std::vector<std::int64_t>& picture_ends);

}  // namespace tandem::models
