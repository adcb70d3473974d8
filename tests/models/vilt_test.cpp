#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "models/vilt/batch.h"
#include "models/vilt/model.h"
#include "models/vilt/weights.h"
#include "tandem/base/error.h"
#include "tandem/models/weights.h"
#include "tandem/text/kinds.h"

namespace vilt_test {

using namespace tandem;
using namespace tandem::models;

namespace {

vilt::Config tiny() {
  vilt::Config config;
  config.width = 24;
  config.layers = 2;
  config.heads = 3;
  config.image_size = 32;
  config.patch_size = 8;
  config.most_patches = -1;
  config.text.context_length = 10;
  config.text.vocab_size = 50;
  config.text.pad_id = 0;
  return config;
}

const std::vector<std::array<std::int64_t, 2>> sizes{{24, 40}, {8, 16}, {40, 8}, {16, 16}};

// Four pairs: texts of 4 to 7 tokens, pictures of four sizes.
Batch make_batch() {
  at::manual_seed(3);
  Batch batch;
  batch.positions = {0, 1, 2, 3};
  Images images{at::zeros({4, 3, 40, 40}, at::kByte), at::zeros({4, 40, 40}, at::kByte)};
  at::Tensor ids = at::zeros({4, 7}, at::kLong), mask = at::zeros({4, 7}, at::kLong);
  Tokens text, masked;
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto [h, w] = sizes[static_cast<std::size_t>(i)];
    images.pixels[i].narrow(1, 0, h).narrow(2, 0, w).copy_(at::randint(0, 256, {3, h, w}));
    images.mask[i].narrow(0, 0, h).narrow(1, 0, w).fill_(1);
    ids[i].narrow(0, 0, 4 + i).copy_(at::randint(5, 50, {4 + i}));
    mask[i].narrow(0, 0, 4 + i).fill_(1);
    text.lengths.push_back(4 + i);
  }
  images.sizes = sizes;
  text.ids = ids;
  text.mask = mask;
  masked = text;
  masked.ids = ids.clone();
  masked.labels = at::full_like(ids, -100);
  for (std::int64_t i = 0; i < 4; ++i) {
    masked.labels[i][1 + i % 2] = ids[i][1 + i % 2];
    masked.ids[i][1 + i % 2] = 4;
  }
  batch.images = images;
  batch.text = text;
  batch.masked = masked;
  return batch;
}

const LossRequest request{{{"mlm", 1.0}, {"itm", 1.0}, {"wpa", 0.1}}};

std::map<std::string, at::Tensor> backward(vilt::ViltModel& model, const LossTerms& terms) {
  at::Tensor total;
  for (const auto& [name, term] : terms) total = total.defined() ? total + term.sum : term.sum;
  total.backward();
  std::map<std::string, at::Tensor> gradients;
  for (const auto& [name, p] : model.parameters()) {
    if (p.grad().defined()) gradients[name] = p.grad();
  }
  return gradients;
}

// The same batch as one that must be padded: the host does not know its lengths.
Batch without_lengths(Batch batch) {
  batch.images->sizes.clear();
  batch.text->lengths.clear();
  batch.masked->lengths.clear();
  return batch;
}

at::Tensor match(vilt::ViltModel& model, const Batch& batch) {
  return model.abilities().match(batch);
}

}  // namespace

TEST_CASE("rows end to end give the losses and gradients of padded rows") {
  vilt::ViltModel packed(tiny(), Key(1)), padded(tiny(), Key(1));
  packed.train(false);
  padded.train(false);
  const LossTerms a = packed.losses(make_batch(), request, {});
  const LossTerms b = padded.losses(without_lengths(make_batch()), request, {});
  for (const char* name : {"mlm", "itm", "wpa"}) {
    CAPTURE(name);
    CHECK(a.at(name).sum.item<double>() == Approx(b.at(name).sum.item<double>()).epsilon(1e-5));
    CHECK(a.at(name).count == 4);
    CHECK(packed.counts(make_batch(), request).at(name) == 4);
  }
  const auto expected = backward(padded, b), got = backward(packed, a);
  CHECK(got.size() == expected.size());
  for (const auto& [name, gradient] : got) {
    CAPTURE(name);
    const double most = expected.at(name).abs().max().item<double>();
    CHECK((gradient - expected.at(name)).abs().max().item<double>() <= 1e-4 * most + 1e-6);
  }
}

TEST_CASE("a pair's score depends on no other pair and on nothing in padding") {
  vilt::ViltModel model(tiny(), Key(1));
  model.train(false);
  for (const auto& [name, p] : model.parameters()) {
    const at::NoGradGuard no_grad;
    if (p.dim() > 1) at::Tensor(p).mul_(10);  // so that what is seen shows
  }
  const Batch batch = make_batch();
  const at::Tensor scores = match(model, batch);
  Batch other = batch;
  other.images->pixels = batch.images->pixels.clone();
  other.images->pixels[0].fill_(9);
  other.text->ids = batch.text->ids.clone();
  other.text->ids[0].narrow(0, 4, 3).fill_(9);
  other.images->pixels[1].narrow(1, 8, 32).fill_(200);  // below the picture
  const at::Tensor changed = match(model, other);
  CHECK(at::allclose(scores.narrow(0, 1, 3), changed.narrow(0, 1, 3), 1e-5, 1e-6));
  CHECK_FALSE(at::allclose(scores[0], changed[0], 1e-4, 1e-5));
  const at::Tensor again = match(model, without_lengths(other));
  CHECK(at::allclose(changed, again, 1e-4, 1e-5));
}

TEST_CASE("at most N patches are kept, drawn under the key, the same for the same key") {
  const std::vector<vilt::Cells> cells = vilt::visible_cells(*make_batch().images, 8);
  CHECK(cells[0].visible.size() == 15);
  CHECK(cells[1].grid == vilt::Grid{1, 2});
  const vilt::Grid grid{5, 5};
  const auto all = vilt::choose_patches(cells, grid, -1, Key(1));
  CHECK(all.longest == 15);
  CHECK(all.counts == std::vector<std::int64_t>{15, 2, 5, 4});
  const auto few = vilt::choose_patches(cells, grid, 4, Key(1));
  CHECK(few.counts == std::vector<std::int64_t>{4, 2, 4, 4});
  CHECK(few.cells == vilt::choose_patches(cells, grid, 4, Key(1)).cells);
  CHECK(few.cells[3] == cells[3].visible);  // none too many: nothing is drawn
  std::set<std::int64_t> drawn;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto one = vilt::choose_patches(cells, grid, 4, Key(seed)).cells[0];
    CHECK(std::set<std::int64_t>(one.begin(), one.end()).size() == 4);
    for (const std::int64_t cell : one) {
      CHECK(std::binary_search(cells[0].visible.begin(), cells[0].visible.end(), cell));
      drawn.insert(cell);
    }
  }
  CHECK(drawn.size() == 15);
}

TEST_CASE("the mask and the sizes of pictures say the same") {
  Images images = *make_batch().images;
  const auto by_size = vilt::visible_cells(images, 8);
  images.sizes.clear();
  const auto by_mask = vilt::visible_cells(images, 8);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(by_size[i].grid == by_mask[i].grid);
    CHECK(by_size[i].visible == by_mask[i].visible);
  }
  images.mask.zero_();
  CHECK_THROWS_AS(vilt::visible_cells(images, 8), Error);
}

TEST_CASE("positions are resized with their corners in place") {
  const at::Tensor table = at::randn({1, 1 + 16, 6});
  const at::Tensor own = table[0].narrow(0, 1, 16).view({4, 4, 6});
  const at::Tensor wide = vilt::resize_grid(table, {3, 7}).view({3, 7, 6});
  CHECK(at::allclose(wide[0][0], own[0][0]));
  CHECK(at::allclose(wide[2][6], own[3][3]));
  CHECK(at::allclose(wide[0][2], own[0][1]));
  CHECK(at::equal(vilt::resize_grid(table, {4, 4}), table[0].narrow(0, 1, 16)));
  const at::Tensor all = vilt::resized_positions(table, {{3, 7}, {1, 2}, {3, 7}});
  CHECK(all.size(0) == 21 + 2 + 1);
  CHECK(at::equal(all.narrow(0, 2, 21), wide.view({21, 6})));
  CHECK(all[23].abs().max().item<double>() == 0);
}

TEST_CASE("half of the pairs match, the others have another sample's picture") {
  Images images = *make_batch().images;
  images.pixels = at::arange(4, at::kByte).view({4, 1, 1, 1}).expand({4, 3, 40, 40}).contiguous();
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const vilt::MatchingPairs pairs = vilt::draw_pairs(images, Key(seed));
    CHECK(pairs.labels.sum().item<std::int64_t>() == 2);
    std::string order;
    for (std::int64_t i = 0; i < 4; ++i) {
      const bool own = pairs.labels[i].item<std::int64_t>() == 1;
      const auto row = pairs.images.pixels[i][0][0][0].item<std::int64_t>();
      CHECK((row == i) == own);
      CHECK(pairs.images.sizes[static_cast<std::size_t>(i)] ==
            sizes[static_cast<std::size_t>(row)]);
      order += own ? '1' : '0';
    }
    orders.insert(order);
  }
  CHECK(orders.size() == 6);
  Images one{images.pixels.narrow(0, 0, 1)};
  CHECK(vilt::draw_pairs(one, Key(1)).labels.item<std::int64_t>() == 1);
}

TEST_CASE("the texts that retrieval compares are of other pictures, each once, or do not count") {
  const at::Tensor pictures = at::tensor({7, 4, 7, 1, 7}, at::kLong);
  std::set<std::int64_t> seen;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const vilt::DrawnTexts drawn = vilt::draw_texts(pictures, 4, Key(seed));
    REQUIRE(drawn.rows.sizes() == at::IntArrayRef({5, 5}));
    REQUIRE(drawn.surplus.sizes() == drawn.rows.sizes());
    for (std::int64_t i = 0; i < 5; ++i) {
      CHECK(drawn.rows[i][0].item<std::int64_t>() == i);
      CHECK_FALSE(drawn.surplus[i][0].item<bool>());
      std::set<std::int64_t> counted;
      for (std::int64_t j = 1; j < 5; ++j) {
        if (drawn.surplus[i][j].item<bool>()) continue;
        const auto row = drawn.rows[i][j].item<std::int64_t>();
        CHECK(pictures[row].item<std::int64_t>() != pictures[i].item<std::int64_t>());
        CHECK(counted.insert(row).second);
      }
      CHECK(counted.size() == (pictures[i].item<std::int64_t>() == 7 ? 2 : 4));
      if (i == 1) seen.insert(drawn.rows[i][1].item<std::int64_t>());
    }
  }
  CHECK(seen == std::set<std::int64_t>{0, 2, 3, 4});
}

TEST_CASE("retrieval's loss does not see the texts that do not count") {
  vilt::Config config = tiny();
  config.parts = {"rank"};
  config.others = 3;
  config.others_of = "micro_batch";
  config.dropout = 0;
  vilt::ViltModel model(config, Key(1));
  model.train(false);
  Batch batch = make_batch();
  const std::int64_t size = batch.images->pixels.size(0);
  batch.picture_ids = at::zeros({size}, at::kLong);  // one picture: nothing to tell apart
  const LossRequest ranks{{{"itm", 1.0}}};
  CHECK(model.losses(batch, ranks, {}).at("itm").sum.item<float>() == 0);
  batch.picture_ids = at::arange(size, at::kLong);
  CHECK(model.losses(batch, ranks, {}).at("itm").sum.item<float>() > 0);
}

TEST_CASE("retrieval tells a picture's text from those that came with it, padded or not") {
  vilt::Config config = tiny();
  config.parts = {"rank"};
  vilt::ViltModel model(config, Key(1));
  model.train(false);
  for (const auto& [name, p] : model.parameters()) {
    const at::NoGradGuard no_grad;
    if (p.dim() > 1) at::Tensor(p).mul_(5);  // so that texts score differently
  }
  Batch batch = make_batch();
  const LossRequest ranks{{{"itm", 1.0}}};
  CHECK_THROWS_AS(model.losses(batch, ranks, {}), Error);  // nobody drew texts
  Tokens others{at::zeros({8, 9}, at::kLong),
                at::zeros({8, 9}, at::kLong)};  // longer than own ones
  for (std::int64_t i = 0; i < 8; ++i) {
    others.ids[i].narrow(0, 0, 2 + i).copy_(at::randint(5, 50, {2 + i}));
    others.mask[i].narrow(0, 0, 2 + i).fill_(1);
    others.lengths.push_back(2 + i);
  }
  batch.others = others;
  std::vector<at::Tensor> scores{model.abilities().match_score(batch)};  // [4], of own texts
  for (std::int64_t first : {0, 1}) {
    Batch other = batch;
    other.text = Tokens{others.ids.slice(0, first, 8, 2), others.mask.slice(0, first, 8, 2)};
    for (std::int64_t i = first; i < 8; i += 2) other.text->lengths.push_back(2 + i);
    scores.push_back(model.abilities().match_score(other));
  }
  const at::Tensor all = at::stack(scores, 1);  // [4, 3]
  CHECK(all.std().item<double>() > 1e-3);
  const double expected = -at::log_softmax(all, 1).select(1, 0).sum().item<double>();
  const LossTerm packed = model.losses(batch, ranks, {}).at("itm");
  CHECK(packed.sum.item<double>() == Approx(expected).epsilon(1e-4));
  CHECK(packed.count == 4);
  CHECK(model.counts(batch, ranks).at("itm") == 4);
  batch.images->sizes.clear();
  batch.text->lengths.clear();
  CHECK(model.losses(batch, ranks, {}).at("itm").sum.item<double>() ==
        Approx(expected).epsilon(1e-4));
}

TEST_CASE("the same key draws the same dropout and pairs, another one others") {
  vilt::Config config = tiny();
  config.most_patches = 3;
  vilt::ViltModel model(config, Key(1));
  model.train(true);
  const auto sum = [&](std::uint64_t seed, bool recompute) {
    StepContext context;
    context.key = Key(seed);
    context.recompute = recompute;
    return model.losses(make_batch(), request, context).at("itm").sum;
  };
  CHECK(at::equal(sum(1, false), sum(1, false)));
  CHECK(at::equal(sum(1, false), sum(1, true)));
  CHECK_FALSE(at::equal(sum(1, false), sum(2, false)));
}

TEST_CASE("recomputation changes no bit of a gradient, dropout included") {
  vilt::ViltModel plain(tiny(), Key(1)), again(tiny(), Key(1));
  StepContext context;
  const auto expected = backward(plain, plain.losses(make_batch(), request, context));
  context.recompute = true;
  const auto got = backward(again, again.losses(make_batch(), request, context));
  for (const auto& [name, gradient] : got) {
    CAPTURE(name);
    CHECK(at::equal(gradient, expected.at(name)));
  }
}

TEST_CASE("MLM's decoder is its own table, or where it is tied the table of words") {
  const auto names_of = [](bool tied) {
    vilt::Config config = tiny();
    config.tied = tied;
    std::set<std::string> names;
    for (const auto& [name, p] : vilt::ViltModel(config, Key(1)).parameters()) {
      CHECK(names.insert(name).second);
    }
    return names;
  };
  CHECK(names_of(false).contains("mlm_score.decoder.weight"));
  CHECK_FALSE(names_of(true).contains("mlm_score.decoder.weight"));
  CHECK(names_of(true).contains("itm_score.fc.weight"));
}

TEST_CASE("what a ViLT is survives config.json, whatever stands on top of it") {
  for (const std::vector<std::string>& parts : {std::vector<std::string>{"mlm", "itm"},
                                                {},
                                                {"vqa"},
                                                {"nlvr2"},
                                                {"rank"},
                                                {"tokens"},
                                                {"mlm"},
                                                {"itm", "rank"}}) {
    vilt::Config config = tiny();
    config.parts = parts;
    config.labels = 7;
    config.modalities = 3;
    config.qkv_bias = false;
    const auto back = vilt::from_config_json(vilt::to_config_json(config));
    const vilt::Config& read = vilt::config_of(*back);
    CHECK(read.parts == parts);
    CHECK(read.layer_norm_eps == 1e-6);
    CHECK(read.text.layer_norm_eps == 1e-12);
    CHECK_FALSE(read.tied);
    const vilt::ViltModel a(config, Key(1)), b(read, Key(1));
    const NamedTensors left = a.parameters(), right = b.parameters();
    REQUIRE(left.size() == right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      CHECK(left[i].first == right[i].first);
      CHECK(at::equal(left[i].second, right[i].second));
    }
  }
}

TEST_CASE("a third modality row and positions of another grid are made on import") {
  vilt::Config config = tiny();
  config.modalities = 3;
  Weights weights;
  const std::string base = "vilt.embeddings.";
  weights[base + "token_type_embeddings.weight"] = at::randn({2, 24});
  weights[base + "position_embeddings"] = at::randn({1, 1 + 9, 24});
  weights[base + "text_embeddings.position_embeddings.weight"] = at::randn({40, 24});
  weights[base + "text_embeddings.position_ids"] = at::zeros({1, 40}, at::kLong);
  const Weights out = vilt::import_weights(weights, config);
  CHECK(out.size() == 3);
  const at::Tensor rows = out.at(base + "token_type_embeddings.weight");
  CHECK(at::equal(rows[2], rows[1]));
  CHECK(out.at(base + "position_embeddings").size(1) == 1 + 16);
  CHECK(at::equal(out.at(base + "position_embeddings")[0][0],
                  weights[base + "position_embeddings"][0][0]));
  CHECK(out.at(base + "text_embeddings.position_embeddings.weight").size(0) == 10);
}

TEST_CASE("a modality row of each picture begins as the first one's, and goes with its picture") {
  vilt::Config config = tiny();
  const std::string name = "vilt.embeddings.token_type_embeddings.weight";
  const at::Tensor three = at::randn({3, 24});
  config.modalities = 5;
  const at::Tensor five = vilt::import_weights({{name, three}}, config).at(name);
  REQUIRE(five.size(0) == 5);
  CHECK(at::equal(five.narrow(0, 0, 3), three));
  for (std::int64_t row : {3, 4}) CHECK(at::equal(five[row], three[1]));
  config.modalities = 2;
  CHECK(at::equal(vilt::import_weights({{name, five}}, config).at(name), three.narrow(0, 0, 2)));
}

TEST_CASE("the view of a picture has the sides of transformers' processor") {
  CHECK(vilt::view_size(640, 480, 384, 32) == std::pair(512, 384));
  CHECK(vilt::view_size(480, 640, 384, 32) == std::pair(384, 512));
  CHECK(vilt::view_size(1000, 100, 384, 32) == std::pair(608, 64));  // the longer side is capped
  CHECK(vilt::view_size(100, 100, 384, 32) == std::pair(384, 384));
  CHECK(vilt::view_size(60000, 1, 384, 32) == std::pair(608, 32));  // never nothing
}

TEST_CASE("a sample becomes words, hidden words and a picture of its own size") {
  std::vector<std::string> lines{"a red circle above a blue square", "a green triangle"};
  const auto tokenizer =
      std::make_shared<const text::Tokenizer>(text::train_tokenizer("wordpiece", lines, 60));
  vilt::Config config = tiny();
  config.text.vocab_size = 0;
  config.text.pad_id = -1;
  vilt::fit_vocabulary(config, *tokenizer);
  const Processor processor = vilt::make_processor(config, tokenizer);
  data::Sample sample;
  sample.texts = {lines[1]};
  sample.pictures.push_back({{}, vision::make_image(50, 30)});
  const Batch one = processor.prepare(sample, Key(1), true);
  CHECK(one.images->pixels.sizes() == at::IntArrayRef({1, 3, 32, 48}));
  CHECK(one.images->sizes[0] == std::array<std::int64_t, 2>{32, 48});
  CHECK(one.text->lengths[0] == one.text->ids.size(1));
  CHECK(one.masked->labels.ne(-100).any().item<bool>());
  CHECK(at::equal(one.masked->ids, processor.prepare(sample, Key(1), true).masked->ids));
  sample.pictures[0].pixels = vision::make_image(20, 60);
  const Batch both = collate({one, processor.prepare(sample, Key(2), true)}, processor.pad_id);
  CHECK(both.images->sizes.size() == 2);
  CHECK(both.text->lengths.size() == 2);
  CHECK(both.images->pixels.size(2) == 48);
  CHECK_THROWS_AS(processor.prepare(data::Sample{}, Key(1), true), Error);
  CHECK(processor.others == 0);
  CHECK_FALSE(one.others.has_value());
}

TEST_CASE("retrieval asks for texts of other pictures, which become rows beside the sample's own") {
  std::vector<std::string> lines{"a red circle above a blue square", "a green triangle"};
  const auto tokenizer =
      std::make_shared<const text::Tokenizer>(text::train_tokenizer("wordpiece", lines, 60));
  vilt::Config config = tiny();
  config.parts = {"rank"};
  config.others = 2;
  config.text.vocab_size = 0;
  config.text.pad_id = -1;
  vilt::fit_vocabulary(config, *tokenizer);
  const Processor processor = vilt::make_processor(config, tokenizer);
  CHECK(processor.others == 2);
  data::Sample sample;
  sample.texts = {lines[1]};
  sample.others = {lines[1], lines[0]};
  sample.pictures.push_back({{}, vision::make_image(50, 30)});
  const Batch one = processor.prepare(sample, Key(1), true);
  REQUIRE(one.others.has_value());
  const std::int64_t own = one.text->ids.size(1);
  CHECK(one.others->lengths == std::vector<std::int64_t>{own, one.others->ids.size(1)});
  CHECK(at::equal(one.others->ids[0].narrow(0, 0, own), one.text->ids[0]));
  CHECK(one.others->mask[0].sum().item<std::int64_t>() == own);
  config.others_of = "micro_batch";
  CHECK(vilt::make_processor(config, tokenizer).others == 0);
  config.others_of = "source";
  config.parts = {"rank", "itm"};  // then matching is what is trained
  CHECK(vilt::make_processor(config, tokenizer).others == 0);
}

TEST_CASE("the levels of chance are those of guessing, and an untrained model is there") {
  vilt::ViltModel model(tiny(), Key(1));
  const auto levels = model.chance_levels(8);
  CHECK(levels.at("mlm").value == Approx(std::log(50.0)));
  CHECK(levels.at("itm").value == Approx(std::log(2.0)));  // half of the pairs match
  CHECK(levels.at("wpa").value == 0);
  const LossTerms terms = model.losses(make_batch(), request, {});
  for (const char* name : {"itm", "mlm"}) {
    CAPTURE(name);
    const double loss = terms.at(name).sum.item<double>() / terms.at(name).count;
    CHECK(loss == Approx(levels.at(name).value).epsilon(0.25));
  }
  vilt::Config config = tiny();
  config.parts = {"rank"};  // a picture's text among those of 15 others
  CHECK(vilt::ViltModel(config, Key(1)).chance_levels(4).at("itm").value == Approx(std::log(16.0)));
  config.others_of = "micro_batch";  // of 15 others or as many as there are
  const vilt::ViltModel ranker(config, Key(1));
  CHECK(ranker.chance_levels(64).at("itm").value == Approx(std::log(16.0)));
  CHECK(ranker.chance_levels(4).at("itm").value == Approx(std::log(4.0)));
  CHECK(ranker.losses_of_micro_batch() == std::vector<std::string>{"itm"});
  CHECK(model.losses_of_micro_batch().empty());
  config.parts = {"nlvr2"};
  config.modalities = 3;
  CHECK(vilt::ViltModel(config, Key(1)).chance_levels(8).at("nlvr2").value ==
        Approx(std::log(2.0)));
}

}  // namespace vilt_test
