#include "tandem/models/visual_codes.h"

#include <torch/nn/module.h>

#include <string>

#include "tandem/base/error.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/tensor/shape.h"

namespace tandem::models {

LearnedCodes* learned_codes(const Model& model) {
  torch::nn::Module* root = model.module();
  if (root == nullptr) return nullptr;
  for (const auto& module : root->modules(/*include_self=*/false)) {
    if (auto* codes = dynamic_cast<LearnedCodes*>(module.get())) return codes;
  }
  return nullptr;
}

at::Tensor read_codes(const std::filesystem::path& path, const LearnedCodes* model) {
  const TensorFile file = load_safetensors(path);
  const auto found = file.tensors.find("centers");
  if (found == file.tensors.end() || found->second.dim() != 2 ||
      found->second.scalar_type() != at::kFloat) {
    throw Error(ErrorKind::data,
                "[codes] expected the tensor centers, fp32 [K, F]; got another file", path.string(),
                "a stage of `job: {task: codes}` writes one");
  }
  const at::Tensor& centers = found->second;
  if (model == nullptr) return centers;
  const auto [codes, numbers] = model->shape();
  if (centers.size(0) == codes && centers.size(1) == numbers) return centers;
  throw Error(ErrorKind::data,
              "[codes] expected " + std::to_string(codes) + " codes of patches of " +
                  std::to_string(numbers) + " numbers, as the model has them; got " +
                  shape_text(centers),
              path.string(), "train them with this model's number of codes and size of patches");
}

}  // namespace tandem::models
