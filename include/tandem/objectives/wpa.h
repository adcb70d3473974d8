#pragma once
// Word-patch alignment: the cost of moving a text's words onto a picture's patches, low for pairs
// that belong together. Source: Kim et al. 2021 (ViLT), section 3.2; Chen et al. 2020
// (UNITER), 3.2; the transport plan by the inexact proximal point method of Xie et al. 2018 (IPOT).
// Letters: B pairs, M words, N patches, D width.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "tandem/objectives/loss_term.h"

namespace tandem::objectives {

struct TransportOptions {
  double beta = 0.5;
  std::int64_t iterations = 50;
};

// 1 - cosine, and 0 where a word or a patch does not take part. text [B, M, D], picture [B, N, D],
// masks bool [B, M] and [B, N] -> [B, M, N], fp32 (fp64 of fp64).
at::Tensor transport_cost(const at::Tensor& text, const at::Tensor& text_mask,
                          const at::Tensor& picture, const at::Tensor& picture_mask);

// The plan, without gradient: rows of words sum to 1 / m, columns of patches towards 1 / n, m and n
// being how many take part. cost [B, M, N] -> [B, M, N], 0 where either side does not take part.
at::Tensor transport_plan(const at::Tensor& cost, const at::Tensor& text_mask,
                          const at::Tensor& picture_mask, const TransportOptions& options = {});

// sum over cost x plan: [B]. The gradient goes through the cost alone.
at::Tensor transport_distance(const at::Tensor& text, const at::Tensor& text_mask,
                              const at::Tensor& picture, const at::Tensor& picture_mask,
                              const TransportOptions& options = {});

// The distances of matching pairs minus those of the others, count B. distance [B], matches [B]
// (1 or 0).
LossTerm wpa(const at::Tensor& distance, const at::Tensor& matches);

// A text's mask [B, T] without its first and its last token: [CLS] and [SEP]. -> bool [B, T]
at::Tensor inner_tokens(const at::Tensor& mask);

}  // namespace tandem::objectives
