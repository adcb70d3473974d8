// What the pair systems are fine-tuned for: answers, sentences about one or two pictures,
// retrieval; begun from pre-trained weights.

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/albef/config.h"
#include "models/blip/config.h"
#include "models/vilt/config.h"
#include "models/vlmo/config.h"
#include "support.h"
#include "tandem/base/error.h"
#include "tandem/models/model.h"
#include "tandem/models/outline.h"
#include "tandem/models/weights.h"

namespace tasks_test {

using namespace tandem;
using namespace tandem::models;
using namespace tandem::testing;

namespace {

constexpr std::int64_t words = 30, length = 6, answers = 5;

// A family's small settings for a task; an empty name: pre-training.
using Made = std::function<std::unique_ptr<Settings>(const std::string& task)>;

std::unique_ptr<Settings> vilt_settings(const std::string& task) {
  auto c = std::make_unique<vilt::Config>();
  set_size(*c, 16, 2);
  set_picture(*c);
  c->most_patches = -1;
  c->dropout = 0;
  c->text.vocab_size = words;
  c->text.context_length = 8;
  c->text.pad_id = 0;
  c->others = 2;
  if (task == "vqa") c->labels = answers;
  if (task == "nlvr2") c->modalities = 3;
  if (!task.empty()) c->parts = {task == "itm" ? "rank" : task};
  return c;
}

std::unique_ptr<Settings> albef_settings(const std::string& task) {
  auto c = std::make_unique<albef::Config>();
  set_size(c->vision, 16, 1);
  set_picture(c->vision);
  set_size(c->text, 16, 3);
  set_words(c->text, words, 8, 2);
  c->text.fusion_layer = 1;
  c->embed_dim = 6;
  c->queue = 8;
  if (task == "ve") c->kind = "entailment";
  if (task == "nlvr2") c->kind = "reasoning";
  return c;
}

std::unique_ptr<Settings> blip_settings(const std::string& task) {
  auto c = std::make_unique<blip::Config>();
  set_size(c->vision, 16, 1);
  set_picture(c->vision);
  set_size(c->text, 16, 2);
  set_words(c->text, words, 8, 2);
  c->text.sep_id = 3;
  c->text.bos_id = 28;
  c->text.enc_id = 29;
  c->embed_dim = 6;
  c->queue = 8;
  if (task == "nlvr2") c->kind = "reasoning";
  if (task == "itm") c->kind = "matching";
  return c;
}

std::unique_ptr<Settings> vlmo_settings(const std::string& task) {
  auto c = std::make_unique<vlmo::Config>();
  set_size(*c, 16, 2);
  set_picture(*c);
  c->mlp_ratio = 2;
  c->joint_from = 1;
  c->context_length = c->longest_text = 8;
  c->vocab_size = words;
  c->pad_id = 0;
  c->drop_path = 0;
  if (task == "vqa") c->labels = answers;
  if (!task.empty()) {
    c->parts = {.itc = false, .itc_vl = false, .itm = false, .mlm = false};
    c->parts.vqa = task == "vqa";
    c->parts.nlvr2 = task == "nlvr2";
  }
  return c;
}

struct Case {
  std::string family, loss;
  Made settings;
  std::set<std::string> fresh{};  // parts that pre-training does not have
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{{"vilt", "vqa", vilt_settings, {"classifier"}},
                                     {"vilt", "nlvr2", vilt_settings, {"classifier"}},
                                     {"vilt", "itm", vilt_settings, {}},
                                     {"albef", "ve", albef_settings, {"cls_head", "cls_head_m"}},
                                     {"albef", "nlvr2", albef_settings, {"cls_head", "cls_head_m"}},
                                     {"blip", "nlvr2", blip_settings, {"cls_head"}},
                                     {"blip", "itm", blip_settings, {"idx_queue", "ptr_queue"}},
                                     {"vlmo", "vqa", vlmo_settings, {"vqa_classifier"}},
                                     {"vlmo", "nlvr2", vlmo_settings, {"nlvr2_classifier"}}};
  return all;
}

Images pictures(std::int64_t rows) {
  Images images;
  images.pixels = at::randint(0, 256, {rows, 3, 16, 16}, at::kByte);
  return images;
}

Batch make_batch(std::int64_t rows, const std::string& loss) {
  at::manual_seed(11);
  Batch batch;
  for (std::int64_t i = 0; i < rows; ++i) batch.positions.push_back(i);
  batch.picture_ids = at::arange(rows, at::kLong);
  batch.images = pictures(rows);
  at::Tensor ids = at::randint(5, 28, {rows, length}, at::kLong);
  ids.select(1, 0).fill_(2);
  at::Tensor mask = at::ones_like(ids);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t hidden = i % 3;
    if (hidden == 0) continue;
    ids[i].narrow(0, length - hidden, hidden).fill_(0);
    mask[i].narrow(0, length - hidden, hidden).fill_(0);
  }
  batch.text = Tokens{ids, mask};
  if (loss == "vqa") batch.scores = at::rand({rows, answers});
  if (loss == "nlvr2") {
    batch.second = pictures(rows);
    batch.labels = at::randint(0, 2, {rows}, at::kLong);
  }
  if (loss == "ve") batch.labels = at::randint(0, 3, {rows}, at::kLong);
  if (loss == "itm") {  // two texts of other pictures beside each
    const at::Tensor others = at::randint(5, 28, {2 * rows, length}, at::kLong);
    batch.others = Tokens{others, at::ones_like(others)};
  }
  return batch;
}

std::unique_ptr<Model> make(const Case& one, const std::string& task) {
  auto model = family(one.family).make(*one.settings(task), Key(3));
  model->train(false);
  return model;
}

LossTerm loss_of(Model& model, const Batch& batch, const std::string& name) {
  LossRequest request;
  request.weights[name] = 1;
  return model.losses(batch, request, {}).at(name);
}

double number(const at::Tensor& x) { return x.item<double>(); }

std::map<std::string, at::Tensor> weights_of(const Model& model) {
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : model.parameters()) weights[name] = tensor.detach().clone();
  for (const auto& [name, tensor] : model.buffers()) weights[name] = tensor.detach().clone();
  return weights;
}

}  // namespace

TEST_CASE("tasks: the loss of a batch is the sum of its parts', and the counts are the rows") {
  for (const Case& one : cases()) {
    if (one.loss == "itm") continue;  // tells rows of the micro-batch apart
    INFO(one.family << " " << one.loss);
    const auto model = make(one, one.loss);
    const Batch batch = make_batch(4, one.loss);
    const LossTerm whole = loss_of(*model, batch, one.loss);
    CHECK(whole.count == 4);
    LossRequest request;
    request.weights[one.loss] = 1;
    CHECK(model->counts(batch, request).at(one.loss) == 4);
    double sum = 0;
    for (const std::int64_t first : {0, 2}) {
      sum += number(loss_of(*model, rows_of(batch, first, 2), one.loss).sum);
    }
    CHECK(sum == Approx(number(whole.sum)).epsilon(1e-5));
  }
}

TEST_CASE("tasks: every parameter that the loss can reach gets a gradient") {
  for (const Case& one : cases()) {
    INFO(one.family << " " << one.loss);
    const auto model = make(one, one.loss);
    loss_of(*model, make_batch(4, one.loss), one.loss).sum.backward();
    for (const auto& [name, tensor] : model->parameters()) {
      INFO(name);
      const bool unused = name.find("token_type_embeddings") != std::string::npos ||
                          name == "text_embeddings.position_embeddings.weight" ||
                          name.find("pooler") != std::string::npos || name == "temp" ||
                          name.starts_with("vision_proj") || name.starts_with("text_proj") ||
                          (one.family == "vlmo" && name.find("blocks.1.") != std::string::npos &&
                           (name.find("_text.") != std::string::npos ||
                            name.find("_imag.") != std::string::npos));  // of the joint layer
      CHECK((tensor.grad().defined() || unused));
    }
  }
}

TEST_CASE("tasks: answers come from the pictures, each from its own side") {
  for (const Case& one : cases()) {
    if (one.loss == "itm") continue;
    INFO(one.family << " " << one.loss);
    const auto model = make(one, one.loss);
    const auto classify = model->abilities().classify;
    REQUIRE(classify);
    Batch batch = make_batch(3, one.loss);
    const at::Tensor logits = classify(batch);
    CHECK(logits.size(0) == 3);
    CHECK(logits.size(1) == (one.loss == "vqa" ? answers : one.loss == "ve" ? 3 : 2));
    CHECK(logits.scalar_type() == at::kFloat);
    if (one.loss != "nlvr2") continue;
    Batch swapped = batch;
    std::swap(swapped.images, swapped.second);
    CHECK_FALSE(at::allclose(classify(swapped), logits, 1e-5, 1e-6));
    Batch other = batch;
    other.second->pixels = 255 - batch.second->pixels;
    CHECK_FALSE(at::allclose(classify(other), logits, 1e-5, 1e-6));
  }
}

TEST_CASE("tasks: begun from pre-training, only the head is new, and the rest is the same") {
  for (const Case& one : cases()) {
    INFO(one.family << " " << one.loss);
    const auto before = make(one, "");
    const auto settings = one.settings(one.loss);
    const auto after = family(one.family).make(*settings, Key(4));
    const auto weights = family(one.family).import_weights(weights_of(*before), *settings);
    const Taken taken = take_weights(*after, weights);
    std::set<std::string> fresh;
    for (const std::string& name : taken.fresh) fresh.insert(name.substr(0, name.find('.')));
    CHECK(fresh == one.fresh);
    std::size_t same = 0;
    for (const auto& [name, tensor] : after->parameters()) {
      const auto found = weights.find(name);
      if (found == weights.end()) continue;
      CHECK(at::equal(tensor, found->second));
      ++same;
    }
    CHECK(same + 6 >= after->parameters().size());
    CHECK(std::isfinite(number(loss_of(*after, make_batch(4, one.loss), one.loss).sum)));
  }
}

TEST_CASE("tasks: an outline has the names and shapes of the model and no numbers") {
  for (const Case& one : cases()) {
    INFO(one.family << " " << one.loss);
    const auto settings = one.settings(one.loss);
    const auto model = family(one.family).make(*settings, Key(1));
    const auto outline = make_outline(family(one.family), *settings);
    const NamedTensors real = model->parameters(), drawn = outline->parameters();
    REQUIRE(real.size() == drawn.size());
    for (std::size_t i = 0; i < real.size(); ++i) {
      CHECK(real[i].first == drawn[i].first);
      CHECK(real[i].second.sizes() == drawn[i].second.sizes());
      CHECK(drawn[i].second.is_meta());
    }
    CHECK(outline->losses_known() == model->losses_known());
    CHECK(static_cast<bool>(outline->abilities().classify) ==
          static_cast<bool>(model->abilities().classify));
  }
}

TEST_CASE("tasks: a layer that is there in part, or of another shape, is refused") {
  const Case& one = cases().front();
  const auto settings = one.settings(one.loss);
  auto weights = weights_of(*make(one, one.loss));
  const auto refused = [&](std::map<std::string, at::Tensor> changed) {
    const auto model = family(one.family).make(*settings, Key(4));
    try {
      take_weights(*model, changed);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::data);
      return error.message();
    }
    return std::string("taken");
  };
  CHECK(refused(weights) == "taken");
  auto changed = weights;
  changed.erase("classifier.3.bias");
  CHECK(refused(changed).find("classifier.3.bias is missing beside") != std::string::npos);
  changed = weights;
  changed["classifier.3.bias"] = at::zeros({7});
  CHECK(refused(changed).find("classifier.3.bias is [7], expected [5]") != std::string::npos);
  CHECK(refused({{"other", at::zeros({1})}}).find("nothing in them") != std::string::npos);
}

TEST_CASE("tasks: the closed list sets how many answers there are, once") {
  for (const char* name : {"vilt", "vlmo"}) {
    const Family& one = family(name);
    const auto settings = name == std::string("vilt") ? vilt_settings("vqa") : vlmo_settings("vqa");
    one.fit_answers(*settings, {"a", "b", "c", "d", "e"});
    const std::string json = one.to_config_json(*settings);
    CHECK(json.find("\"d\"") != std::string::npos);
    CHECK(one.to_config_json(*one.from_config_json(json)) == json);
    CHECK_THROWS_AS(one.fit_answers(*settings, {"a", "b"}), Error);
  }
}

}  // namespace tasks_test
