#include "models/vlmo/transformer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "tandem/base/error.h"
#include "tandem/nn/attention.h"
#include "tandem/nn/dropout.h"
#include "tandem/nn/vit.h"

namespace tandem::models::vlmo {
namespace {

constexpr double block_eps = 1e-6, text_eps = 1e-12;

}  // namespace

Attention::Attention(std::int64_t width, std::int64_t heads) : heads(heads) {
  TANDEM_CHECK(heads > 0 && width % heads == 0, "[attention] expected heads that divide the width");
  q_bias = register_parameter("q_bias", nn::make_parameter({width}));
  v_bias = register_parameter("v_bias", nn::make_parameter({width}));
  qkv = register_module("qkv", std::make_shared<nn::Linear>(width, 3 * width, false));
  proj = register_module("proj", std::make_shared<nn::Linear>(width, width));
}

at::Tensor Attention::forward(const at::Tensor& x, const nn::Mask& mask,
                              const at::Tensor& positions) const {
  const at::Tensor bias = at::cat({q_bias, at::zeros_like(v_bias), v_bias});
  const at::Tensor packed =
      nn::add_adapters(at::linear(x, qkv->weight, bias), x, {qkv.get()});  // [B, N, 3 D]
  const auto parts = nn::split_heads(packed, 3, heads);
  nn::Mask both = mask;
  if (positions.defined()) {
    // A hidden key keeps the lowest number: what is added to it is lost in rounding.
    both.bias = mask.bias.defined() ? positions + mask.bias : positions.unsqueeze(0);
  }
  return proj->forward(nn::attend(parts[0], parts[1], parts[2], both));
}

Block::Block(const Config& c, std::int64_t layer)
    : path_rate(c.layers > 1
                    ? c.drop_path * static_cast<double>(layer) / static_cast<double>(c.layers - 1)
                    : 0) {
  norm1 = register_module("norm1", std::make_shared<nn::LayerNorm>(c.width, block_eps));
  attn = register_module("attn", std::make_shared<Attention>(c.width, c.heads));
  const auto expert = [&](const std::string& name) {
    return Expert{
        register_module("norm2_" + name, std::make_shared<nn::LayerNorm>(c.width, block_eps)),
        register_module("mlp_" + name,
                        std::make_shared<nn::Mlp>(c.width, c.hidden(), nn::erf_gelu))};
  };
  text = expert("text");
  image = expert("imag");
  if (layer >= c.joint_from) joint = expert("vl");
  if (c.layer_scale >= 0) {
    gamma_1 = register_parameter("gamma_1", nn::make_parameter({c.width}));
    gamma_2 = register_parameter("gamma_2", nn::make_parameter({c.width}));
  }
}

at::Tensor Block::branch(const at::Tensor& x, const Expert& expert) const {
  const at::Tensor out = expert.mlp->forward(expert.norm->forward(x));
  return x + nn::drop_path(gamma_2.defined() ? gamma_2 * out : out, path_rate, is_training());
}

at::Tensor Block::forward(const at::Tensor& x, const Sight& sight,
                          const at::Tensor& positions) const {
  const at::Tensor seen = attn->forward(norm1->forward(x), sight.mask, positions);
  const at::Tensor y =
      x + nn::drop_path(gamma_1.defined() ? gamma_1 * seen : seen, path_rate, is_training());
  switch (sight.route) {
    case Route::text:
      return branch(y, text);
    case Route::image:
      return branch(y, image);
    case Route::pair:
      break;
  }
  if (joint.mlp) return branch(y, joint);
  return at::cat({branch(y.slice(1, 0, sight.split), text), branch(y.slice(1, sight.split), image)},
                 1);
}

MultiwayTransformer::MultiwayTransformer(const Config& c) {
  cls_token = register_parameter("cls_token", nn::make_parameter({1, 1, c.width}));
  if (c.absolute_positions) {
    pos_embed = register_parameter("pos_embed", nn::make_parameter({1, 1 + c.patches(), c.width}));
  }
  if (c.parts.mim)
    mask_token = register_parameter("mask_token", nn::make_parameter({1, 1, c.width}));
  const auto embed = register_module("patch_embed", std::make_shared<torch::nn::Module>());
  patch =
      embed->register_module("proj", std::make_shared<nn::PatchEmbed>(c.patch_size, c.width, true));
  const auto list = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < c.layers; ++i) {
    blocks.push_back(list->register_module(std::to_string(i), std::make_shared<Block>(c, i)));
  }
  norm = register_module("norm", std::make_shared<nn::LayerNorm>(c.width, block_eps));
}

at::Tensor MultiwayTransformer::embed(const at::Tensor& pixels, const at::Tensor& hidden) const {
  at::Tensor patches = patch->forward(pixels);  // [B, P, D]
  if (hidden.defined()) {
    TANDEM_CHECK(mask_token.defined(), "[mim] expected a model with the part mim");
    patches = at::where(hidden.ne(0).unsqueeze(-1), mask_token.to(patches.scalar_type()), patches);
  }
  const at::Tensor x = at::cat({cls_token.expand({pixels.size(0), 1, -1}), patches}, 1);
  return pos_embed.defined() ? x + pos_embed : x;
}

at::Tensor MultiwayTransformer::run(at::Tensor x, const Sight& sight, const Biases& biases,
                                    const nn::BlockContext& context, std::size_t first,
                                    std::size_t last) const {
  for (std::size_t i = first; i < last; ++i) {
    const auto block = [layer = blocks[i], sight](const std::vector<at::Tensor>& in) {
      return layer->forward(in[0], sight, in.size() > 1 ? in[1] : at::Tensor());
    };
    std::vector<at::Tensor> inputs{x};
    if (!biases.empty()) inputs.push_back(biases[i]);
    x = nn::run_block(*blocks[i], block, inputs, nn::of_block(context, i));
  }
  return x;
}

Backbone::Backbone(const Config& c)
    : joint_from_(static_cast<std::size_t>(c.joint_from)),
      layers_(c.layers),
      heads_(c.heads),
      positions_{c.grid(), c.longest_text} {
  transformer = register_module("transformer", std::make_shared<MultiwayTransformer>(c));
  if (c.relative_positions) {
    relative_position_bias_table =
        register_parameter("relative_position_bias_table",
                           nn::make_parameter({positions_.rows(), c.heads * c.layers}));
    image_index_ = image_index(positions_);
    text_index_ = text_index(positions_, c.context_length);
  }
  // The table of text positions is there in either case, and added only without relative ones.
  text_embeddings = register_module(
      "text_embeddings",
      std::make_shared<nn::BertEmbeddings>(nn::BertShape{.width = c.width,
                                                         .vocab_size = c.vocab_size,
                                                         .positions = c.context_length,
                                                         .eps = text_eps,
                                                         .dropout = c.drop_path,
                                                         .pad_id = c.pad_id,
                                                         .add_positions = !c.relative_positions}));
  token_type_embeddings =
      register_module("token_type_embeddings", std::make_shared<nn::Embedding>(c.kinds(), c.width));
}

at::Tensor Backbone::text_rows(const at::Tensor& ids, const nn::BlockContext& context) const {
  const auto block = [part = text_embeddings](const std::vector<at::Tensor>& in) {
    return part->forward(in[0]);
  };
  return nn::run_block(*text_embeddings, block, {ids}, nn::of_part(context, "embeddings")) +
         token_type_embeddings->weight[0];
}

at::Tensor Backbone::image_rows(const at::Tensor& pixels, const at::Tensor& hidden,
                                std::int64_t kind) const {
  return transformer->embed(pixels, hidden) + token_type_embeddings->weight[kind];
}

Biases Backbone::biases(const at::Tensor& index) const {
  const at::Tensor all = at::embedding(relative_position_bias_table, index);
  return all.permute({2, 0, 1}).chunk(layers_, 0);  // [N, N, H L] -> L x [H, N, N]
}

void Backbone::place(const at::Device& device) {
  for (at::Tensor* index : {&image_index_, &text_index_}) {
    if (index->defined()) *index = index->to(device);
  }
}

// Path 2 begins at the hidden rows in front of the joint experts. With a joint expert in every
// layer the original reads the last rows there (index -1), and so does this.
Rows Backbone::unimodal(const at::Tensor& x, Sight sight, const Biases& biases, bool joint,
                        const nn::BlockContext& context) const {
  const std::size_t depth = transformer->depth();
  const nn::BlockContext own = nn::of_part(context, "own");
  at::Tensor before = transformer->run(x, sight, biases, own, 0, joint_from_);
  const at::Tensor last = transformer->run(before, sight, biases, own, joint_from_, depth);
  Rows rows{transformer->norm->forward(last), {}};
  if (!joint) return rows;
  if (joint_from_ == 0) before = last;
  sight.route = Route::pair;
  rows.joint = transformer->norm->forward(
      transformer->run(before, sight, biases, nn::of_part(context, "joint"), joint_from_, depth));
  return rows;
}

Rows Backbone::text(const at::Tensor& rows, const at::Tensor& mask, bool joint,
                    const nn::BlockContext& context) const {
  const std::int64_t length = rows.size(1);
  const Biases own = relative_position_bias_table.defined()
                         ? biases(text_index_.slice(0, 0, length).slice(1, 0, length))
                         : Biases{};
  return unimodal(rows, {Route::text, nn::padding_mask(mask), 0}, own, joint, context);
}

Rows Backbone::image(const at::Tensor& rows, bool joint, const nn::BlockContext& context) const {
  const Biases own = relative_position_bias_table.defined() ? biases(image_index_) : Biases{};
  return unimodal(rows, {Route::image, nn::no_mask(), 0}, own, joint, context);
}

at::Tensor Backbone::pair(const at::Tensor& text, const at::Tensor& image, const at::Tensor& mask,
                          std::int64_t split, const nn::BlockContext& context) const {
  const std::int64_t length = text.size(1);
  Biases own;
  if (relative_position_bias_table.defined()) {
    const at::Tensor words = text_index_.slice(0, 0, length).slice(1, 0, length);
    own = biases(joint_index(positions_, words, image_index_));
  }
  const at::Tensor keys =
      at::cat({mask, at::ones({image.size(0), image.size(1)}, mask.options())}, 1);
  const Sight sight{Route::pair, nn::padding_mask(keys), split};
  const at::Tensor x =
      transformer->run(at::cat({text, image}, 1), sight, own, context, 0, transformer->depth());
  return transformer->norm->forward(x);
}

}  // namespace tandem::models::vlmo
