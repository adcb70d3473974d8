#pragma once
// Image-text contrast: the symmetric softmax over all pairs of the global batch.
// Source: Radford et al. 2021 (CLIP), figure 3; openai/CLIP:clip/model.py; open_clip:loss.py.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "tandem/dist/mesh.h"
#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

struct ItcOptions {
  // Rows of the similarity matrix held at once; 0 = the plain form with the whole local block.
  std::int64_t chunk = 0;
  // The gradient that the original's training gives over W ranks instead of the true one: features
  // of the other ranks are detached and the ranks' gradients are averaged, so the features' is 1/W
  // of it; the temperature's is whole (open_clip's default loss). The value is the same.
  bool released = false;
};

// The exact global loss in one pass: features of the other ranks are gathered, this rank adds the
// rows of its own pairs to `sum`, and the gradient with respect to `image` and `text` is that of
// the sum over ALL ranks (the columns included), so summing parameter gradients over ranks is
// exact. image, text: [B, D], L2-normalised, fp32; log_scale: scalar (logits are exp(log_scale) * I
// T^t). sum = sum over the local rows of (CE of image rows + CE of text rows) / 2, count = B.
// B is the same on every rank. Computed in fp32, also within autocast (fp64 for fp64 features).
//
// Several paths through a model are contrasted at once: with n numbers in log_scale, image and text
// are [B, n D], each path's features of length 1, and the loss is the mean over the paths. So is it
// in the two-pass form.
LossTerm itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
             const dist::Mesh& mesh, const ItcOptions& options = {});

// The two-pass form for accumulation (DESIGN 3, decision 4). Pass one collects the features of all
// micro-batches without gradient; solve() computes loss and feature gradients on the global matrix.
struct ItcSolution {
  at::Tensor sum;         // scalar: loss of all local rows
  at::Tensor image_grad;  // [B_local, D], of the sum over all ranks
  at::Tensor text_grad;   // [B_local, D]
  at::Tensor scale_grad;  // as log_scale: this rank's share; the sum over ranks is exact
  std::int64_t rows = 0;
};
ItcSolution solve_itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
                      const dist::Mesh& mesh, const ItcOptions& options = {});

// Pass two: rows [first, first + B) of the solution replayed through the graph of this micro-batch.
// The value of `sum` is sum * B / rows (the micro-batches' terms add up to the solution's sum); its
// gradient is the solution's.
LossTerm replay_itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& log_scale,
                    const ItcSolution& solution, std::int64_t first);

}  // namespace tandem::objectives
