#pragma once
// What the families' models share beside nn: how a pass of a step begins, what is normalised how,
// and how parameters are listed.

#include <torch/nn/module.h>

#include "tandem/models/model.h"
#include "tandem/nn/normalize.h"
#include "tandem/nn/run_block.h"
#include "tandem/objectives/itc.h"
#include "tandem/vision/transform.h"

namespace tandem::models {

// The blocks of one pass draw under their own key.
nn::BlockContext blocks_of(const StepContext& context, const char* pass);

const dist::Mesh& mesh_of(const StepContext& context);  // of one rank where there is none

bool asks(const LossRequest& request, const char* loss);

objectives::ItcOptions itc_options(const LossRequest& request);

// value, grown from 0 over the first `steps` steps; at once where they are none.
double ramped(double value, std::int64_t steps, std::int64_t step);

// x / max(|x|, least) along the last dimension, in fp32.
at::Tensor unit_rows(const at::Tensor& x, double least = 0);

nn::PixelStatistics statistics_of(const vision::ImageSettings& image);

// Where each text of a pack begins, and the end (nn::packed_mask): known on the host by `lengths`,
// or read from the device's `segments`.
std::vector<std::int64_t> ends_of_pack(const Tokens& text);

// By their names behind the prefix, a shared one once, under its first.
NamedTensors parameters_of(const torch::nn::Module& module, const std::string& prefix = "");

}  // namespace tandem::models
