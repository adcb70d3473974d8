#pragma once
// What stands between tower and language model, as parts of one interface.
// Letters: N pictures, P rows of one as the tower gives them, R as the language model reads them, C
// width of the tower, W of words.

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "models/llava/config.h"
#include "tandem/base/random.h"
#include "tandem/nn/run_block.h"

namespace tandem::models::llava {

class Connector {
 public:
  virtual ~Connector() = default;

  // All its parameters, under the names of its release.
  virtual std::shared_ptr<torch::nn::Module> module() const = 0;
  virtual at::Tensor forward(const at::Tensor& rows,  // [N, P, C] -> [N, R, W]
                             const nn::BlockContext& context) const = 0;
  // As its release is initialised; prefix: in front of its names.
  virtual void initialize(const std::string& prefix, Key init) const = 0;
};

// in: C; out: W.
std::unique_ptr<Connector> make_connector(const ConnectorConfig& config, std::int64_t in,
                                          std::int64_t out);

}  // namespace tandem::models::llava
