// What a VLMo learns from: losses of the three stages, negatives, codes, two passes, batches.

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "models/vlmo/batch.h"
#include "models/vlmo/model.h"
#include "tandem/base/error.h"
#include "tandem/objectives/itc.h"
#include "tandem/tensor/autocast.h"

namespace vlmo_training_test {

using namespace tandem;
using namespace tandem::models;

namespace {

vlmo::Config tiny() {
  vlmo::Config config;
  config.image_size = 16;
  config.patch_size = 4;
  config.width = 16;
  config.layers = 3;
  config.heads = 2;
  config.mlp_ratio = 2;
  config.joint_from = 2;
  config.context_length = 8;
  config.longest_text = 8;
  config.vocab_size = 40;
  config.pad_id = 0;
  config.drop_path = 0.2;
  config.parts.mim = true;
  config.codes = 12;
  config.patch_masking = {.share = 0.4, .smallest = 2};
  return config;
}

Batch make_batch(std::int64_t rows) {
  at::manual_seed(3);
  Batch batch;
  batch.positions.assign(static_cast<std::size_t>(rows), 0);
  batch.images = Images{at::randint(0, 256, {rows, 3, 16, 16}, at::kByte)};
  at::Tensor hidden = at::zeros({rows, 16}, at::kByte);
  for (std::int64_t i = 0; i < rows; ++i) hidden[i].slice(0, i % 3, 4 + i % 3 + i % 2).fill_(1);
  batch.images->hidden = hidden;
  const at::Tensor ids = at::randint(5, 40, {rows, 6}, at::kLong);
  at::Tensor mask = at::ones_like(ids);
  mask[1].slice(0, 4).zero_();
  batch.text = Tokens{ids, mask};
  at::Tensor labels = at::full_like(ids, -100);
  labels.select(1, 2).copy_(ids.select(1, 2));
  at::Tensor seen = ids.clone();
  seen.select(1, 2).fill_(4);
  batch.masked = Tokens{seen, mask, labels};
  return batch;
}

Batch rows_of(const Batch& batch, std::int64_t first, std::int64_t count) {
  const auto part = [&](const Tokens& t) {
    Tokens some{t.ids.narrow(0, first, count), t.mask.narrow(0, first, count)};
    if (t.labels.defined()) some.labels = t.labels.narrow(0, first, count);
    return some;
  };
  Batch some;
  some.positions.assign(static_cast<std::size_t>(count), first);
  some.images = Images{batch.images->pixels.narrow(0, first, count)};
  some.images->hidden = batch.images->hidden.narrow(0, first, count);
  some.text = part(*batch.text);
  some.masked = part(*batch.masked);
  return some;
}

LossRequest asking(const std::vector<std::string>& names) {
  LossRequest request;
  for (const std::string& name : names) request.weights[name] = 1;
  return request;
}

const std::vector<std::string> all{"itc", "itm", "mlm", "text_mlm", "mim"};

std::map<std::string, at::Tensor> gradients_of(const Model& model) {
  std::map<std::string, at::Tensor> gradients;
  for (const auto& [name, parameter] : model.parameters()) {
    if (parameter.grad().defined()) gradients[name] = parameter.grad();
  }
  return gradients;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every loss has a count that the host knows before, and a level of chance") {
  vlmo::VlmoModel model(tiny(), Key(1));
  const Batch batch = make_batch(4);
  const auto counts = model.counts(batch, asking(all));
  CHECK(counts.at("itc") == 4);
  CHECK(counts.at("itm") == 12);
  CHECK(counts.at("mlm") == 4);
  CHECK(counts.at("mim") == batch.images->hidden.sum().item<double>());
  const LossTerms terms = model.losses(batch, asking(all), {});
  for (const std::string& name : all) {
    CAPTURE(name);
    CHECK(terms.at(name).count == counts.at(name));
    const double loss = terms.at(name).sum.item<double>() / counts.at(name);
    // The first contrast is not chance's: its temperature is low, the features are not random.
    const double chance = model.chance_levels(4).at(name).value;
    if (name != "itc") CHECK(loss == Approx(chance).epsilon(0.25));
    CHECK(std::isfinite(chance));
  }
  std::vector<std::string> known = model.losses_known(), expected = all;
  std::sort(known.begin(), known.end());
  std::sort(expected.begin(), expected.end());
  CHECK(known == expected);
}

TEST_CASE("each stage's loss reaches its own experts and heads alone") {
  const auto reached = [&](const char* loss, const std::string& part) {
    vlmo::VlmoModel model(tiny(), Key(1));
    StepContext context;
    context.step = 1;
    model.losses(make_batch(4), asking({loss}), context).at(loss).sum.backward();
    std::int64_t count = 0;
    for (const auto& [name, gradient] : gradients_of(model)) {
      count += contains(name, part) && gradient.abs().max().item<double>() > 0;
    }
    return count;
  };
  CHECK(reached("mim", "mlp_imag") > 0);
  CHECK(reached("mim", "lm_head") == 2);
  CHECK(reached("mim", "mlp_text") == 0);
  CHECK(reached("mim", "text_embeddings") == 0);
  CHECK(reached("mim", "mlp_vl") == 0);
  CHECK(reached("text_mlm", "mlp_text") > 0);
  CHECK(reached("text_mlm", "mlp_imag") == 0);
  CHECK(reached("text_mlm", "patch_embed") == 0);
  CHECK(reached("text_mlm", "mlm_score") == 6);
  CHECK(reached("mlm", "blocks.2.mlp_vl") > 0);
  CHECK(reached("mlm", "blocks.2.mlp_text") == 0);
  CHECK(reached("itc", "blocks.2.mlp_text") > 0);
  CHECK(reached("itc", "blocks.2.mlp_vl") > 0);
  CHECK(reached("itm", "itc_") == 0);  // the negatives are drawn, not learned
}

TEST_CASE("what a loss lacks is named") {
  vlmo::VlmoModel model(tiny(), Key(1));
  Batch text = make_batch(4), pictures = make_batch(4);
  text.images.reset();
  pictures.text.reset();
  pictures.masked.reset();
  const auto refused = [&](const Batch& batch, const char* loss) {
    try {
      model.counts(batch, asking({loss}));
    } catch (const Error& error) {
      return error.message();
    }
    return std::string();
  };
  CHECK(refused(text, "text_mlm").empty());
  CHECK(refused(pictures, "mim").empty());
  CHECK(refused(text, "mim") == "[mim] expected pictures; got data without");
  CHECK(refused(text, "itc") == "[itc] expected pictures; got data without");
  CHECK(refused(pictures, "itm") == "[itm] expected texts; got data without");
  CHECK(refused(pictures, "text_mlm") == "[text_mlm] expected texts; got data without");
  pictures.images->hidden = at::Tensor();
  CHECK(contains(refused(pictures, "mim"), "hidden patches"));
}

TEST_CASE("hard negatives are never the own sample, follow the similarities and the key") {
  vlmo::Config config = tiny();
  vlmo::Vlmo net(config);
  vlmo::initialize(net, config, Key(1));
  at::manual_seed(1);
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, -1, true); };
  vlmo::Candidates among;
  among.features.image = unit(at::randn({6, 16}));
  among.features.text = unit(at::randn({6, 16}));
  among.features.text[3] =
      among.features.image[1];  // the hardest picture of text 3 is 1, of picture 1 text 3
  const at::Tensor own = at::arange(6, at::kLong);
  std::int64_t hard_picture = 0, hard_text = 0;
  std::set<std::int64_t> drawn;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const vlmo::Negatives found = vlmo::draw_negatives(net, among, 6, Key(i));
    CHECK_FALSE(found.image.eq(own).any().item<bool>());
    CHECK_FALSE(found.text.eq(own).any().item<bool>());
    hard_picture += found.image[3].item<std::int64_t>() == 1;
    hard_text += found.text[1].item<std::int64_t>() == 3;
    drawn.insert(found.image[0].item<std::int64_t>());
    // The second of two ranks that know the same candidates draws what one rank draws there.
    vlmo::Candidates second = among;
    second.first = 3;
    const vlmo::Negatives half = vlmo::draw_negatives(net, second, 3, Key(i));
    CHECK(at::equal(found.image.slice(0, 3), half.image));
    CHECK(at::equal(found.text.slice(0, 3), half.text));
  }
  CHECK(hard_picture > 190);
  CHECK(hard_text > 190);
  CHECK(drawn.size() > 1);
}

TEST_CASE("two passes over micro-batches give both paths' loss and gradients of one batch") {
  vlmo::Config config = tiny();
  config.drop_path = 0;
  vlmo::VlmoModel whole(config, Key(1)), parts(config, Key(1));
  const Batch batch = make_batch(8);
  const LossRequest request = asking({"itc"});
  const LossTerm one = whole.losses(batch, request, {}).at("itc");
  CHECK(one.count == 8);
  one.sum.backward();

  std::vector<at::Tensor> image, text;
  for (std::int64_t first = 0; first < 8; first += 2) {
    const at::NoGradGuard no_grad;
    const Features f = parts.features(rows_of(batch, first, 2), request, {});
    CHECK(f.image.sizes() == at::IntArrayRef({2, 32}));
    image.push_back(f.image);
    text.push_back(f.text);
  }
  const auto solution = parts.solve({at::cat(image), at::cat(text)}, request, {});
  double sum = 0;
  for (std::int64_t first = 0; first < 8; first += 2) {
    StepContext context;
    context.contrast = solution.get();
    context.contrast_first = first;
    const LossTerm term = parts.losses(rows_of(batch, first, 2), request, context).at("itc");
    term.sum.backward();
    sum += term.sum.item<double>();
  }
  CHECK(sum == Approx(one.sum.item<double>()).epsilon(1e-5));
  const auto expected = gradients_of(whole);
  const auto found = gradients_of(parts);
  CHECK(found.contains("logit_vl_scale"));
  for (const auto& [name, gradient] : found) {
    CAPTURE(name);
    const double largest = expected.at(name).abs().max().item<double>();
    CHECK((gradient - expected.at(name)).abs().max().item<double>() <= 1e-4 * largest + 1e-6);
  }
  // Without the contrast there is no first pass.
  CHECK_FALSE(parts.features(batch, asking({"mlm"}), {}).image.defined());
}

TEST_CASE("recomputation changes no bit of the losses, and no gradient beyond rounding") {
  vlmo::VlmoModel plain(tiny(), Key(1)), again(tiny(), Key(1));
  const auto run = [](vlmo::VlmoModel& model, bool recompute) {
    StepContext context;
    context.key = Key(7);
    context.recompute = recompute;
    at::Tensor total;
    for (const auto& [name, term] : model.losses(make_batch(4), asking(all), context)) {
      total = total.defined() ? total + term.sum : term.sum;
    }
    total.backward();
    return total.detach();
  };
  CHECK(at::equal(run(plain, false), run(again, true)));
  const auto expected = gradients_of(plain);
  for (const auto& [name, gradient] : gradients_of(again)) {
    CAPTURE(name);
    // Parameters of several passes: their gradients are added in another order.
    const double largest = expected.at(name).abs().max().item<double>();
    CHECK((gradient - expected.at(name)).abs().max().item<double>() <= 1e-5 * largest + 1e-7);
  }
}

TEST_CASE("a hidden patch cannot be seen, and only hidden ones count") {
  vlmo::Config config = tiny();
  vlmo::VlmoModel model(config, Key(1));
  model.train(false);
  Batch batch = make_batch(2);
  // The codes themselves follow the pixels: with centers of zeros all are code 0.
  const auto loss = [&] {
    const at::NoGradGuard no_grad;
    return model.losses(batch, asking({"mim"}), {}).at("mim").sum;
  };
  const at::Tensor before = loss();
  batch.images->pixels[0].slice(1, 0, 4).slice(2, 0, 16).fill_(9);  // patches 0 to 3 are hidden
  CHECK(at::equal(before, loss()));
  batch.images->pixels[0].slice(1, 12, 16).fill_(9);  // seen ones
  CHECK_FALSE(at::equal(before, loss()));
}

TEST_CASE("codes of patches are those of the nearest center, trained once, the same each time") {
  const nn::PixelStatistics plain{.mean = {0, 0, 0}, .std = {1, 1, 1}};
  vlmo::PatchCodes codes(4, 2, plain), again(4, 2, plain);
  // Four kinds of patches with a little noise.
  at::manual_seed(2);
  const at::Tensor kind = at::randint(0, 4, {8, 9}, at::kLong);
  at::Tensor pixels = at::zeros({8, 3, 6, 6});
  for (std::int64_t b = 0; b < 8; ++b) {
    for (std::int64_t p = 0; p < 9; ++p) {
      pixels[b]
          .slice(1, p / 3 * 2, p / 3 * 2 + 2)
          .slice(2, p % 3 * 2, p % 3 * 2 + 2)
          .fill_(kind[b][p].item<double>());
    }
  }
  pixels = pixels + at::randn_like(pixels) * 0.05;
  CHECK(codes.trained.item<int>() == 0);
  codes.train_centers(pixels, dist::Mesh(), Key(3));
  again.train_centers(pixels, dist::Mesh(), Key(3));
  CHECK(codes.trained.item<int>() == 1);
  CHECK(at::equal(codes.centers, again.centers));
  const at::Tensor found = codes.codes(pixels);
  REQUIRE(found.sizes() == at::IntArrayRef({8, 9}));
  // One code for each kind, and another for another.
  for (std::int64_t k = 0; k < 4; ++k) {
    const at::Tensor own = found.masked_select(kind.eq(k));
    CHECK(own.eq(own[0]).all().item<bool>());
    CHECK_FALSE(found.masked_select(kind.ne(k)).eq(own[0]).any().item<bool>());
    const at::Tensor center = codes.centers[own[0].item<std::int64_t>()];
    CHECK((center - static_cast<double>(k)).abs().max().item<double>() < 0.1);
  }
}

TEST_CASE("the codebook is made in the first step of training and stays") {
  vlmo::VlmoModel model(tiny(), Key(1));
  const auto centers = [&] {
    for (const auto& [name, buffer] : model.buffers()) {
      if (name == "codes.centers") return buffer.clone();
    }
    return at::Tensor();
  };
  model.train(false);
  model.losses(make_batch(4), asking({"mim"}), {});
  CHECK(centers().eq(0).all().item<bool>());  // evaluation makes none
  model.train(true);
  model.losses(make_batch(4), asking({"mim"}), {});
  const at::Tensor made = centers();
  CHECK_FALSE(made.eq(0).all().item<bool>());
  Batch other = make_batch(4);
  other.images->pixels = at::randint(0, 256, {4, 3, 16, 16}, at::kByte);
  model.losses(other, asking({"mim"}), {});  // another stage's first step
  CHECK(at::equal(centers(), made));
}

TEST_CASE("codes that a job trained are taken, seen by others as the model's, and stay") {
  vlmo::VlmoModel model(tiny(), Key(1));
  LearnedCodes* codes = learned_codes(model);
  REQUIRE(codes != nullptr);
  CHECK(codes->shape() == std::array<std::int64_t, 2>{12, 48});
  const Batch batch = make_batch(4);
  const at::Tensor patches = codes->patches(batch.images->pixels);
  CHECK(patches.sizes() == at::IntArrayRef({4, 16, 48}));
  CHECK(patches.min().item<float>() == -1);  // 0 / 255 - 0.5, over 0.5
  const at::Tensor given = patches.flatten(0, 1).slice(0, 0, 12).clone();
  codes->take(given);
  const at::Tensor found = codes->codes(batch.images->pixels);
  CHECK(at::equal(found[0].slice(0, 0, 12), at::arange(12)));
  model.losses(batch, asking({"mim"}), {});
  for (const auto& [name, buffer] : model.buffers()) {
    if (name == "codes.centers") CHECK(at::equal(buffer, given));
  }
  // Under autocast the same patches have the same codes.
  {
    const Autocast autocast(at::kCPU, {true, at::kBFloat16});
    CHECK(at::equal(codes->codes(batch.images->pixels), found));
  }
  vlmo::Config without = tiny();
  without.parts.mim = false;
  CHECK(learned_codes(vlmo::VlmoModel(without, Key(1))) == nullptr);
}

TEST_CASE("abilities: unit features of path 1, and the probability of a match") {
  vlmo::VlmoModel model(tiny(), Key(1));
  model.train(false);
  const Batch batch = make_batch(3);
  Abilities can = model.abilities();
  const at::Tensor image = can.embed_image(*batch.images), text = can.embed_text(*batch.text);
  CHECK(image.sizes() == at::IntArrayRef({3, 16}));
  CHECK(at::allclose(image.norm(2, 1), at::ones({3})));
  CHECK(at::allclose(text.norm(2, 1), at::ones({3})));
  const at::Tensor match = can.match(batch);
  CHECK(match.sizes() == at::IntArrayRef({3}));
  CHECK(match.gt(0).logical_and(match.lt(1)).all().item<bool>());
  vlmo::Config language = tiny();
  language.parts = {.itc = false, .itc_vl = false, .itm = false, .mlm = true, .mim = false};
  vlmo::VlmoModel small(language, Key(1));
  CHECK_FALSE(small.abilities().embed_text);
  CHECK_FALSE(small.abilities().match);
}

TEST_CASE("a picture alone and a text alone are samples, nothing is not") {
  const std::vector<std::string> lines{"a red square", "a blue circle above a green star",
                                       "two small squares left of a circle"};
  const auto tokenizer = std::make_shared<const text::Tokenizer>(text::train_wordpiece(lines, 60));
  vlmo::Config config = tiny();
  config.vocab_size = 0;
  config.pad_id = -1;
  config.context_length = 12;
  vlmo::fit_vocabulary(config, *tokenizer);
  CHECK(config.pad_id == 0);
  const Processor processor = vlmo::make_processor(config, tokenizer);
  data::Sample sample;
  sample.id = "one";
  sample.pictures.push_back({{}, vision::make_image(20, 30)});
  sample.texts = lines;
  const Batch pair = processor.prepare(sample, Key(1), true);
  CHECK(pair.images->pixels.sizes() == at::IntArrayRef({1, 3, 16, 16}));
  CHECK(pair.images->hidden.sizes() == at::IntArrayRef({1, 16}));
  CHECK(pair.images->hidden.sum().item<int>() >= 1);
  const at::Tensor hidden = pair.masked->labels.ne(-100);
  CHECK(hidden.any().item<bool>());
  CHECK(at::equal(pair.masked->labels.masked_select(hidden), pair.text->ids.masked_select(hidden)));
  CHECK(pair.text->ids[0][0].item<std::int64_t>() == *tokenizer->id_of("[CLS]"));
  CHECK_FALSE(hidden[0][0].item<bool>());

  data::Sample picture = sample, text = sample, nothing = sample;
  picture.texts.clear();
  text.pictures.clear();
  nothing.texts.clear();
  nothing.pictures.clear();
  CHECK_FALSE(processor.prepare(picture, Key(1), true).text.has_value());
  CHECK_FALSE(processor.prepare(text, Key(1), true).images.has_value());
  CHECK_THROWS_AS(processor.prepare(nothing, Key(1), true), Error);
  CHECK_THROWS_AS(vlmo::make_processor(config, nullptr), Error);
}

}  // namespace vlmo_training_test
