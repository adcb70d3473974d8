// What a VLMo is: routing, positions, names. Losses and training: vlmo_training_test.cpp; parity:
// tests/jobs/vlmo_verify_test.cpp.

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "models/vlmo/model.h"
#include "models/vlmo/positions.h"
#include "models/vlmo/weights.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"

namespace vlmo_test {

using namespace tandem;
using namespace tandem::models;

namespace {

vlmo::Config tiny() {
  vlmo::Config config;
  config.image_size = 16;
  config.patch_size = 8;
  config.width = 16;
  config.layers = 3;
  config.heads = 2;
  config.mlp_ratio = 2;
  config.joint_from = 2;
  config.context_length = 6;
  config.longest_text = 8;
  config.vocab_size = 40;
  config.pad_id = 0;
  config.drop_path = 0;
  return config;
}

// Every parameter away from its initial value: gammas are small and tables zero at first.
std::shared_ptr<vlmo::Vlmo> make_net(const vlmo::Config& config) {
  auto net = std::make_shared<vlmo::Vlmo>(config);
  vlmo::initialize(*net, config, Key(1));
  const at::NoGradGuard no_grad;
  at::manual_seed(5);
  for (auto& item : net->named_parameters()) {
    item.value().add_(at::randn_like(item.value()), 0.3);
  }
  net->eval();
  return net;
}

Tokens make_tokens() {
  at::manual_seed(3);
  const at::Tensor ids = at::randint(5, 40, {2, 6}, at::kLong);
  at::Tensor mask = at::ones_like(ids);
  mask[1].slice(0, 4).zero_();
  return {ids, mask};
}

at::Tensor make_pixels() {
  at::manual_seed(4);
  return at::randn({2, 3, 16, 16});
}

struct Hidden {
  at::Tensor text, image, pair;  // normed rows
  at::Tensor text_joint, image_joint;
};

Hidden run(const vlmo::Vlmo& net) {
  const at::NoGradGuard no_grad;
  const Tokens tokens = make_tokens();
  const at::Tensor words = net.text_rows(tokens.ids, {}), patches = net.image_rows(make_pixels());
  const vlmo::Rows text = net.text(words, tokens.mask, true, {});
  const vlmo::Rows image = net.image(patches, true, {});
  return {text.own, image.own, net.pair(words, patches, tokens.mask, 6, {}), text.joint,
          image.joint};
}

// Adds to the experts' weights of one name in one layer.
void disturb(vlmo::Vlmo& net, std::size_t layer, vlmo::Expert vlmo::Block::*expert) {
  const at::NoGradGuard no_grad;
  ((*net.transformer->blocks[layer]).*expert).mlp->fc2->weight.add_(0.5);
}

}  // namespace

TEST_CASE("each layer sends each kind of input to its expert") {
  const vlmo::Config config = tiny();
  const Hidden before = run(*make_net(config));
  const auto changed = [&](std::size_t layer, vlmo::Expert vlmo::Block::*expert) {
    const auto net = make_net(config);
    disturb(*net, layer, expert);
    const Hidden after = run(*net);
    std::set<std::string> names;
    if (!at::equal(after.text, before.text)) names.insert("text");
    if (!at::equal(after.image, before.image)) names.insert("image");
    if (!at::equal(after.text_joint, before.text_joint)) names.insert("text_joint");
    if (!at::equal(after.image_joint, before.image_joint)) names.insert("image_joint");
    if (!at::equal(after.pair, before.pair)) names.insert("pair");
    return names;
  };
  using Names = std::set<std::string>;
  for (const std::size_t layer : {0U, 1U}) {
    CAPTURE(layer);
    CHECK(changed(layer, &vlmo::Block::text) == Names{"text", "text_joint", "pair"});
    CHECK(changed(layer, &vlmo::Block::image) == Names{"image", "image_joint", "pair"});
  }
  CHECK(changed(2, &vlmo::Block::text) == Names{"text"});
  CHECK(changed(2, &vlmo::Block::image) == Names{"image"});
  CHECK(changed(2, &vlmo::Block::joint) == Names{"text_joint", "image_joint", "pair"});
}

TEST_CASE("the joint expert is there from its layer on, and attention is one for all") {
  const auto net = make_net(tiny());
  const auto& blocks = net->transformer->blocks;
  CHECK(blocks[1]->joint.mlp == nullptr);
  CHECK(blocks[2]->joint.mlp != nullptr);
  std::set<std::string> names;
  for (const auto& item : net->named_parameters()) names.insert(item.key());
  CHECK(names.contains("transformer.blocks.2.mlp_vl.fc1.weight"));
  CHECK_FALSE(names.contains("transformer.blocks.1.mlp_vl.fc1.weight"));
  for (const char* name :
       {"transformer.blocks.0.attn.q_bias", "transformer.blocks.0.attn.qkv.weight",
        "transformer.blocks.0.norm2_imag.bias", "transformer.blocks.0.gamma_2",
        "relative_position_bias_table", "text_embeddings.position_embeddings.weight",
        "token_type_embeddings.weight", "pooler.dense.bias", "mlm_score.decoder.weight",
        "mlm_score.bias", "itm_score.fc.weight", "itc_vl_image_proj.fc.weight", "logit_vl_scale",
        "transformer.patch_embed.proj.bias", "transformer.norm.weight"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
  CHECK_FALSE(names.contains("transformer.blocks.0.attn.qkv.bias"));
  CHECK_FALSE(names.contains("transformer.pos_embed"));
}

TEST_CASE("padding of a text is seen by nobody") {
  const auto net = make_net(tiny());
  const at::NoGradGuard no_grad;
  Tokens tokens = make_tokens();
  const at::Tensor patches = net->image_rows(make_pixels());
  const auto of = [&] {
    const at::Tensor words = net->text_rows(tokens.ids, {});
    return std::pair(net->text(words, tokens.mask, false, {}).own,
                     net->pair(words, patches, tokens.mask, 6, {}));
  };
  const auto [text, pair] = of();
  tokens.ids[1].slice(0, 4).fill_(7);  // behind the mask
  const auto [other_text, other_pair] = of();
  const at::Tensor seen = tokens.mask.unsqueeze(-1);
  CHECK(at::equal(text * seen, other_text * seen));
  CHECK(at::equal(pair.slice(1, 0, 6) * seen, other_pair.slice(1, 0, 6) * seen));
  CHECK(at::equal(pair.slice(1, 6), other_pair.slice(1, 6)));
}

TEST_CASE("a text without its padding gives the same") {
  const auto net = make_net(tiny());
  const at::NoGradGuard no_grad;
  const Tokens tokens = make_tokens();
  const at::Tensor patches = net->image_rows(make_pixels()).slice(0, 1);
  const at::Tensor ids = tokens.ids.slice(0, 1), mask = tokens.mask.slice(0, 1);
  const at::Tensor padded = net->pair(net->text_rows(ids, {}), patches, mask, 6, {});
  const at::Tensor cut =
      net->pair(net->text_rows(ids.slice(1, 0, 4), {}), patches, mask.slice(1, 0, 4), 4, {});
  CHECK(at::allclose(cut.slice(1, 0, 4), padded.slice(1, 0, 4), 1e-5, 1e-5));
  CHECK(at::allclose(cut.slice(1, 4), padded.slice(1, 6), 1e-5, 1e-5));
}

TEST_CASE("relative positions, entry by entry, for a grid of 2 x 2 and a text of 5") {
  // What the original code builds for max_text_len 5 and max_text_len_of_initckpt 196.
  const vlmo::RelativePositions positions{2, 196};
  CHECK(positions.of_pictures() == 12);
  CHECK(positions.rows() == 406);
  const at::Tensor image = vlmo::image_index(positions), text = vlmo::text_index(positions, 5);
  const at::Tensor expected_image = at::tensor({11, 9, 9, 9, 9,  //
                                                10, 4, 3, 1, 0,  //
                                                10, 5, 4, 2, 1,  //
                                                10, 7, 6, 4, 3,  //
                                                10, 8, 7, 5, 4},
                                               at::kLong)
                                        .view({5, 5});
  const at::Tensor expected_text = at::tensor({405, 403, 403, 403, 403,  //
                                               404, 208, 209, 210, 211,  //
                                               404, 207, 208, 209, 210,  //
                                               404, 206, 207, 208, 209,  //
                                               404, 205, 206, 207, 208},
                                              at::kLong)
                                       .view({5, 5});
  CHECK(at::equal(image, expected_image));
  CHECK(at::equal(text, expected_text));
  const at::Tensor joint = vlmo::joint_index(positions, text, image);
  REQUIRE(joint.sizes() == at::IntArrayRef({10, 10}));
  CHECK(at::equal(joint.slice(0, 0, 5).slice(1, 0, 5), text));
  CHECK(at::equal(joint.slice(0, 5).slice(1, 5), image));
  CHECK(joint.slice(0, 0, 5).slice(1, 5).eq(12).all().item<bool>());
  CHECK(joint.slice(0, 5).slice(1, 0, 5).eq(13).all().item<bool>());
  // As released: 224 pixels in patches of 16.
  CHECK(vlmo::RelativePositions{}.rows() == 1126);
}

TEST_CASE("a table of relative positions is resampled as SciPy's splines do, its other rows kept") {
  const vlmo::RelativePositions from{3, 2}, to{5, 2};
  at::Tensor table = at::arange(25 + 3 + 2 + 4, at::kDouble).sin().unsqueeze(1);
  table = at::cat({table, table * 2}, 1);
  const at::Tensor resized = vlmo::resize_table(table, from, to);
  REQUIRE(resized.sizes() == at::IntArrayRef({81 + 9, 2}));
  CHECK(at::equal(resized.slice(0, 81), table.slice(0, 25)));
  const at::Tensor grid = resized.slice(0, 0, 81).select(1, 0).view({9, 9});
  const auto at_cell = [&](std::int64_t y, std::int64_t x) { return grid[y][x].item<double>(); };
  // RectBivariateSpline(x, x, z, kx=3, ky=3) at -4 .. 4, with the original's places x.
  CHECK(at_cell(0, 2) == Approx(0.275677068).epsilon(1e-6));
  CHECK(at_cell(1, 3) == Approx(0.841470985).epsilon(1e-6));
  CHECK(at_cell(4, 4) == Approx(-0.5365729180).epsilon(1e-6));
  CHECK(at_cell(3, 6) == Approx(0.7144745359).epsilon(1e-6));
  CHECK(at_cell(8, 7) == Approx(-0.9055783620).epsilon(1e-6));
  CHECK(at::allclose(resized.select(1, 1), resized.select(1, 0) * 2));
}

TEST_CASE(
    "a table for another text keeps the row of each offset, farther ones begin as the farthest") {
  const vlmo::RelativePositions from{2, 4}, to{2, 7};
  const at::Tensor table = at::arange(from.rows(), at::kDouble).unsqueeze(1);
  const at::Tensor longer = vlmo::resize_table(table, from, to);
  REQUIRE(longer.size(0) == to.rows());
  const auto seen = [](const at::Tensor& rows, const at::Tensor& index) {
    return rows.select(1, 0).index_select(0, index.flatten()).view(index.sizes());
  };
  const at::Tensor text = vlmo::text_index(from, 4), image = vlmo::image_index(from);
  CHECK(at::equal(seen(longer, vlmo::joint_index(to, vlmo::text_index(to, 4), image)),
                  seen(table, vlmo::joint_index(from, text, image))));
  const at::Tensor words = seen(longer, vlmo::text_index(to, 7)), old = seen(table, text);
  CHECK(at::equal(words[1].narrow(0, 3, 4), old[1][3].expand({4})));  // 2 words on, and more
  CHECK(at::equal(words[6].narrow(0, 1, 4), old[3][1].expand({4})));  // 2 words back, and more
  CHECK(at::equal(vlmo::resize_table(longer, to, from), table));
}

TEST_CASE("a table for another text is taken where the settings say for which, else refused") {
  vlmo::Config config = tiny();  // 2 x 2 patches, texts of 8
  const std::string name = "relative_position_bias_table";
  const Weights shorter{{name, at::randn({9 + 3 + 2 + 10, 6})}};  // texts of 5
  CHECK_THROWS_WITH(vlmo::import_weights(shorter, config),
                    Catch::Contains("2 x 2 patches and texts of 8") && Catch::Contains("[24, 6]"));
  config.longest_text_before = 5;
  const at::Tensor taken = vlmo::import_weights(shorter, config).at(name);
  CHECK(taken.size(0) == 9 + 3 + 2 + 16);
  CHECK(at::equal(taken.narrow(0, 0, 14), shorter.at(name).narrow(0, 0, 14)));
  // Of its own length, as a later stage has it.
  CHECK(at::equal(vlmo::import_weights({{name, taken}}, config).at(name), taken));
  // Another grid with it.
  const Weights other{{name, at::randn({25 + 3 + 2 + 10, 6})}};
  CHECK(vlmo::import_weights(other, config).at(name).size(0) == 9 + 3 + 2 + 16);
  config.image_size = 24;
  CHECK_THROWS_WITH(vlmo::import_weights(shorter, config), Catch::Contains("at least 3 x 3"));
  config.longest_text_before = 1;
  CHECK(vlmo::problems(config).at(0).first == "longest_text_before");
}

TEST_CASE("kinds of tokens follow the number of pictures, the second begins as the first") {
  vlmo::Config config = tiny();
  const std::string name = "token_type_embeddings.weight";
  const at::Tensor two = at::randn({2, 16});
  CHECK(at::equal(vlmo::import_weights({{name, two}}, config).at(name), two));
  config.parts.nlvr2 = true;
  const at::Tensor three = vlmo::import_weights({{name, two}}, config).at(name);
  CHECK(at::equal(three, at::cat({two, two.narrow(0, 1, 1)})));
  config.parts.nlvr2 = false;
  CHECK(at::equal(vlmo::import_weights({{name, three}}, config).at(name), two));
}

TEST_CASE("without relative positions a text gets a table, with them it does not") {
  vlmo::Config config = tiny();
  const auto moves = [&] {
    const auto net = make_net(config);
    const at::NoGradGuard no_grad;
    const Tokens tokens = make_tokens();
    const at::Tensor before = net->text_rows(tokens.ids, {});
    net->text_embeddings->position_embeddings->weight.add_(1.7);
    net->text_embeddings->position_embeddings->weight[2].add_(at::arange(16, at::kFloat));
    return !at::equal(before, net->text_rows(tokens.ids, {}));
  };
  CHECK_FALSE(moves());
  config.relative_positions = false;
  config.absolute_positions = true;
  config.layer_scale = -1;
  CHECK(moves());
  const auto net = make_net(config);
  CHECK(net->transformer->pos_embed.sizes() == at::IntArrayRef({1, 5, 16}));
  CHECK_FALSE(net->relative_position_bias_table.defined());
  CHECK_FALSE(net->transformer->blocks[0]->gamma_1.defined());
}

TEST_CASE("initial values of all parts follow the original code and the key") {
  vlmo::Config config = tiny();
  config.width = 64;
  config.parts.mim = true;
  config.codes = 50;
  vlmo::VlmoModel model(config, Key(1)), again(config, Key(1)), other(config, Key(2));
  std::map<std::string, at::Tensor> p, q, r;
  for (const auto& [name, t] : model.parameters()) p[name] = t.detach();
  for (const auto& [name, t] : again.parameters()) q[name] = t.detach();
  for (const auto& [name, t] : other.parameters()) r[name] = t.detach();
  for (const auto& [name, t] : p) {
    CAPTURE(name);
    CHECK(t.isfinite().all().item<bool>());
    CHECK(at::equal(t, q.at(name)));
  }
  const auto spread = [&](const char* name) { return p.at(name).std().item<double>(); };
  CHECK(spread("transformer.blocks.0.attn.qkv.weight") == Approx(0.02).margin(0.001));
  CHECK(spread("text_embeddings.word_embeddings.weight") == Approx(0.02).margin(0.001));
  CHECK(p.at("transformer.blocks.1.gamma_1").eq(0.1F).all().item<bool>());
  CHECK(p.at("relative_position_bias_table").eq(0).all().item<bool>());
  CHECK(p.at("transformer.blocks.2.norm2_vl.weight").eq(1).all().item<bool>());
  CHECK(p.at("transformer.blocks.2.attn.v_bias").eq(0).all().item<bool>());
  CHECK(p.at("logit_vl_scale").item<double>() == Approx(std::log(1 / 0.07)));
  CHECK(p.at("transformer.patch_embed.proj.weight").abs().max().item<double>() <=
        1 / std::sqrt(192.0) + 1e-6);
  CHECK_FALSE(at::equal(p.at("transformer.cls_token"), r.at("transformer.cls_token")));
}

TEST_CASE("a file says which heads and experts it holds") {
  const vlmo::Config config = tiny();
  std::map<std::string, at::Tensor> weights;
  for (const auto& item : make_net(config)->named_parameters()) {
    const std::string& name = item.key();
    const bool language =
        name.find("itc") == std::string::npos && name.find("itm") == std::string::npos &&
        name.find("scale") == std::string::npos && name.find("_vl.") == std::string::npos;
    if (language) weights["module." + name] = item.value().detach();
  }
  vlmo::Config fitted = tiny();
  vlmo::fit_weights(fitted, weights);
  CHECK(fitted.joint_from == 3);
  CHECK(fitted.parts.mlm);
  CHECK_FALSE(fitted.parts.itm);
  CHECK_FALSE(fitted.parts.itc);
  CHECK_FALSE(fitted.parts.mim);
  vlmo::VlmoModel model(fitted, Key(9));
  // Indices and ids that the original's files may hold.
  weights["module.relative_position_index"] = at::zeros({5, 5}, at::kLong);
  weights["module.text_embeddings.position_ids"] = at::zeros({1, 6}, at::kLong);
  assign_weights(model, vlmo::import_weights(weights, fitted));
  CHECK(model.losses_known() == std::vector<std::string>{"mlm", "text_mlm"});
  weights.erase("module.mlm_score.bias");
  CHECK_THROWS_AS(assign_weights(model, vlmo::import_weights(weights, fitted)), Error);
}

TEST_CASE("a BEiT becomes the image experts, its tables the columns of one") {
  const vlmo::Config config = tiny();
  std::map<std::string, at::Tensor> beit{
      {"cls_token", at::randn({1, 1, 16})},
      {"patch_embed.proj.weight", at::randn({16, 3, 8, 8})},
      {"blocks.0.mlp.fc1.weight", at::randn({32, 16})},
      {"blocks.1.norm2.bias", at::randn({16})},
      {"blocks.1.norm1.bias", at::randn({16})},
      {"blocks.0.attn.relative_position_bias_table", at::randn({12, 2})},
      {"blocks.1.attn.relative_position_bias_table", at::randn({12, 2})}};
  const auto made = vlmo::import_weights(beit, config);
  CHECK(at::equal(made.at("transformer.blocks.0.mlp_imag.fc1.weight"),
                  beit.at("blocks.0.mlp.fc1.weight")));
  CHECK(at::equal(made.at("transformer.blocks.1.norm2_imag.bias"), beit.at("blocks.1.norm2.bias")));
  CHECK(made.contains("transformer.blocks.1.norm1.bias"));
  const at::Tensor table = made.at("relative_position_bias_table");
  CHECK(at::equal(table.slice(0, 0, 12).slice(1, 2),
                  beit.at("blocks.1.attn.relative_position_bias_table")));
  CHECK(table.size(0) == 12 + 2 + 16);  // those of words are not in it
  CHECK(table.slice(0, 12).eq(0).all().item<bool>());
}

TEST_CASE("settings of all kinds survive config.json") {
  vlmo::Config config = tiny();
  config.mlp_ratio = 2.5;
  config.relative_positions = false;
  config.absolute_positions = true;
  for (const double scale : {-1.0, 0.3}) {
    config.layer_scale = scale;
    const auto read = vlmo::from_config_json(vlmo::to_config_json(config));
    const vlmo::Config& again = vlmo::config_of(*read);
    CHECK(again.layer_scale == scale);
    CHECK(again.mlp_ratio == 2.5);
    CHECK(again.absolute_positions);
    CHECK_FALSE(again.relative_positions);
    CHECK(again.joint_from == 2);
    CHECK(again.context_length == 6);
    CHECK(again.longest_text == 8);
    CHECK(again.vocab_size == 40);
    CHECK(vlmo::to_config_json(again) == vlmo::to_config_json(config));
  }
  // The defaults are those of vlmo_base_patch16.
  const auto empty = vlmo::from_config_json("{}");
  const vlmo::Config& base = vlmo::config_of(*empty);
  CHECK(base.width == 768);
  CHECK(base.joint_from == 10);
  CHECK(base.layer_scale == 0.1);
  CHECK(base.relative_positions);
  CHECK_THROWS_AS(vlmo::from_config_json(R"({"embed_dim": 10, "num_heads": 3})"), Error);
  CHECK_THROWS_AS(vlmo::from_config_json(R"({"max_text_len": 250})"), Error);
  CHECK_THROWS_AS(vlmo::from_config_json(R"({"use_abs_pos_emb": 3})"), Error);
}

}  // namespace vlmo_test
