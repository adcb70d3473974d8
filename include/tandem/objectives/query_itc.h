#pragma once
// Image-text contrast where a picture has several features, of which the likest counts.
// Source: Li et al. 2023 (BLIP-2), section 3.1; salesforce/LAVIS:blip2_qformer.py.
// Letters: B pairs of this rank, N of all ranks, Q features of a picture, D width.

#include <ATen/core/Tensor.h>

#include "tandem/dist/mesh.h"
#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

struct QueryItcOptions {
  double smoothing = 0;  // of the labels, over all N
  // As the released code trains: the gathered side has no gradient, this rank's own share of it
  // included, so a picture learns from its row of texts only and a text from its row of pictures.
  bool released = false;
};

struct QueryItc {
  LossTerm loss;                            // (CE of image rows + CE of text rows) / 2, count B
  at::Tensor image_to_text, text_to_image;  // [B, N], divided by the temperature
};

// image [B, Q, D] and text [B, D], L2-normalised; similarities are divided by `temperature`
// (scalar). The columns are the pairs of all ranks. The gradient with respect to the features is
// that of the sum over ALL ranks, and the temperature's is this rank's share, so that summing
// parameter gradients over ranks is exact. In fp32 (fp64 for fp64 features).
QueryItc query_itc(const at::Tensor& image, const at::Tensor& text, const at::Tensor& temperature,
                   const dist::Mesh& mesh, const QueryItcOptions& options = {});

}  // namespace tandem::objectives
