#include "models/llava/connector.h"

#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "models/pass.h"
#include "tandem/nn/init.h"
#include "tandem/nn/linear.h"
#include "tandem/nn/mask.h"
#include "tandem/nn/mlp.h"
#include "tandem/nn/qformer.h"
#include "tandem/nn/resampler.h"

namespace tandem::models::llava {
namespace {

// PyTorch's default of a Linear, as the originals leave it.
void fill_plain(const nn::Linear& linear, const std::string& name, Key init) {
  const double bound = 1 / std::sqrt(static_cast<double>(linear.weight.size(1)));
  nn::fill_uniform(linear.weight, bound, init, name + ".weight");
  if (linear.bias.defined()) nn::fill_uniform(linear.bias, bound, init, name + ".bias");
}

// --- W of LLaVA, the MLP of LLaVA-1.5 ----------------------------------------------------------

// "linear_1", "linear_2", ...
struct Matrices : torch::nn::Module {
  std::vector<std::shared_ptr<nn::Linear>> layers;
  nn::Activation activation;  // nullptr: none

  Matrices(std::int64_t count, nn::Activation between, bool bias, std::int64_t in, std::int64_t out)
      : activation(between) {
    for (std::int64_t i = 0; i < count; ++i) {
      layers.push_back(register_module("linear_" + std::to_string(i + 1),
                                       std::make_shared<nn::Linear>(i == 0 ? in : out, out, bias)));
    }
  }

  at::Tensor forward(at::Tensor x) const {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      x = layers[i]->forward(x);
      // An MLP of one layer is what transformers' projector is without its second one.
      if (activation != nullptr && (i + 1 < layers.size() || i == 0)) x = activation(x);
    }
    return x;
  }
};

class MatrixConnector final : public Connector {
 public:
  explicit MatrixConnector(std::shared_ptr<Matrices> matrices) : matrices_(std::move(matrices)) {}

  std::shared_ptr<torch::nn::Module> module() const override { return matrices_; }

  at::Tensor forward(const at::Tensor& rows, const nn::BlockContext& context) const override {
    const auto block = [part = matrices_](const std::vector<at::Tensor>& in) {
      return part->forward(in[0]);
    };
    return nn::run_block(*matrices_, block, {rows}, context);
  }

  void initialize(const std::string& prefix, Key init) const override {
    for (std::size_t i = 0; i < matrices_->layers.size(); ++i) {
      fill_plain(*matrices_->layers[i], prefix + "linear_" + std::to_string(i + 1), init);
    }
  }

 private:
  std::shared_ptr<Matrices> matrices_;
};

std::unique_ptr<Connector> made_linear(const ConnectorConfig& c, std::int64_t in,
                                       std::int64_t out) {
  return std::make_unique<MatrixConnector>(std::make_shared<Matrices>(1, nullptr, c.bias, in, out));
}

std::unique_ptr<Connector> made_mlp(const ConnectorConfig& c, std::int64_t in, std::int64_t out) {
  return std::make_unique<MatrixConnector>(
      std::make_shared<Matrices>(c.layers, nn::activation_of(c.activation), c.bias, in, out));
}

std::int64_t as_many(const ConnectorConfig&, std::int64_t seen) { return seen; }
void nothing_wrong(Problems&, const Config&) {}

// --- The resampler -----------------------------------------------------------------------------

class ResamplerConnector final : public Connector {
 public:
  explicit ResamplerConnector(const nn::ResamplerShape& shape)
      : part_(std::make_shared<nn::Resampler>(shape)) {}

  std::shared_ptr<torch::nn::Module> module() const override { return part_; }

  at::Tensor forward(const at::Tensor& rows, const nn::BlockContext& context) const override {
    const auto block = [part = part_](const std::vector<at::Tensor>& in) {
      return part->forward(in[0]);
    };
    return nn::run_block(*part_, block, {rows}, context);
  }

  void initialize(const std::string& prefix, Key init) const override {
    for (const auto& item : part_->named_parameters()) {
      const bool bias = item.key().ends_with("bias");
      if (bias || item.key().starts_with("ln_")) {
        nn::fill_constant(item.value(), bias ? 0 : 1);
      } else {
        nn::fill_normal(item.value(), 0.02, init, prefix + item.key());
      }
    }
    const auto width = static_cast<double>(part_->query.size(1));
    nn::fill_uniform(part_->in_proj_weight, std::sqrt(6 / (4 * width)), init,
                     prefix + "attn.in_proj_weight");
  }

 private:
  std::shared_ptr<nn::Resampler> part_;
};

std::unique_ptr<Connector> made_resampler(const ConnectorConfig& c, std::int64_t in,
                                          std::int64_t out) {
  return std::make_unique<ResamplerConnector>(nn::ResamplerShape{
      .in = in, .width = out, .grid = c.resampler.grid, .heads = c.resampler.heads_for(out)});
}

std::int64_t of_grid(const ConnectorConfig& c, std::int64_t) {
  return c.resampler.grid * c.resampler.grid;
}

void check_resampler(Problems& found, const Config& c) {
  const std::int64_t width = c.language.words();
  check_heads(found, "connector.resampler.heads", width, c.connector.resampler.heads_for(width));
  if (width % 4 != 0) {
    found.emplace_back("connector.kind",
                       "expected words of a multiple of 4 numbers: the resampler says a place "
                       "by sines and cosines of its row and its column");
  }
  if (c.class_token) {
    found.emplace_back("class_token",
                       "expected false: the resampler knows its rows by their places");
  }
}

// --- The querying transformer ------------------------------------------------------------------

// The norm, the queries and the projection stand beside it under the names of BLIP-2's release.
struct QueryParts : torch::nn::Module {
  std::shared_ptr<nn::LayerNorm> ln_vision;  // the release's tower ends with it
  at::Tensor query_tokens;                   // [1, Q, D]
  std::shared_ptr<nn::QFormer> qformer;
  std::shared_ptr<nn::Linear> language_projection;

  QueryParts(const nn::QFormerShape& shape, std::int64_t queries, std::int64_t out) {
    ln_vision =
        register_module("ln_vision", std::make_shared<nn::LayerNorm>(shape.image_width, 1e-5));
    query_tokens =
        register_parameter("query_tokens", nn::make_parameter({1, queries, shape.width}));
    qformer = register_module("qformer", std::make_shared<nn::QFormer>(shape));
    language_projection =
        register_module("language_projection", std::make_shared<nn::Linear>(shape.width, out));
  }
};

class QueryConnector final : public Connector {
 public:
  explicit QueryConnector(std::shared_ptr<QueryParts> parts) : parts_(std::move(parts)) {}

  std::shared_ptr<torch::nn::Module> module() const override { return parts_; }

  at::Tensor forward(const at::Tensor& rows, const nn::BlockContext& context) const override {
    const at::Tensor seen = parts_->ln_vision->forward(rows);
    const at::Tensor queries = parts_->query_tokens.expand({rows.size(0), -1, -1});
    const at::Tensor read =
        parts_->qformer->forward(queries, queries.size(1), nn::no_mask(), seen, context);
    return parts_->language_projection->forward(read);
  }

  void initialize(const std::string& prefix, Key init) const override {
    nn::initialize_normal(parameters_of(*parts_, prefix), 0.02, init);
    nn::fill_constant(parts_->ln_vision->weight, 1);
    fill_plain(*parts_->language_projection, prefix + "language_projection", init);
  }

 private:
  std::shared_ptr<QueryParts> parts_;
};

std::unique_ptr<Connector> made_qformer(const ConnectorConfig& c, std::int64_t in,
                                        std::int64_t out) {
  nn::QFormerShape shape;
  shape.width = c.qformer.width;
  shape.layers = c.qformer.layers;
  shape.heads = c.qformer.heads;
  shape.hidden = c.qformer.hidden();
  shape.cross_every = c.qformer.cross_every;
  shape.image_width = in;
  shape.text = false;
  shape.dropout = shape.attention_dropout = 0;
  return std::make_unique<QueryConnector>(
      std::make_shared<QueryParts>(shape, c.qformer.queries, out));
}

std::int64_t of_queries(const ConnectorConfig& c, std::int64_t) { return c.qformer.queries; }

void check_qformer(Problems& found, const Config& c) {
  check_heads(found, "connector.qformer.heads", c.connector.qformer.width,
              c.connector.qformer.heads);
}

// --- The table ---------------------------------------------------------------------------------

struct ConnectorKind {
  std::int64_t (*rows)(const ConnectorConfig&, std::int64_t seen);
  void (*check)(Problems&, const Config&);
  std::unique_ptr<Connector> (*make)(const ConnectorConfig&, std::int64_t in, std::int64_t out);
};

const ConnectorKind& connector_kind(const std::string& name) {
  static const std::map<std::string, ConnectorKind> kinds{
      {"linear", {as_many, nothing_wrong, made_linear}},
      {"mlp", {as_many, nothing_wrong, made_mlp}},
      {"resampler", {of_grid, check_resampler, made_resampler}},
      {"qformer", {of_queries, check_qformer, made_qformer}}};
  const auto found = kinds.find(name);
  // A name of none is refused where settings are read.
  return found == kinds.end() ? kinds.at("mlp") : found->second;
}

}  // namespace

std::int64_t rows_behind(const ConnectorConfig& c, std::int64_t seen) {
  return connector_kind(c.kind).rows(c, seen);
}

void check_connector(Problems& found, const Config& c) {
  connector_kind(c.connector.kind).check(found, c);
}

std::unique_ptr<Connector> make_connector(const ConnectorConfig& c, std::int64_t in,
                                          std::int64_t out) {
  return connector_kind(c.kind).make(c, in, out);
}

}  // namespace tandem::models::llava
