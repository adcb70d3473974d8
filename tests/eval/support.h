#pragma once
// A model that needs no training: a picture's row is its mean colour, a text's the colour that it
// names; and a source that is given whole.

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/eval/task.h"

namespace tandem::eval {

inline at::Tensor normalised(const at::Tensor& rows) {
  return rows.div(rows.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12));
}

// Has abilities and nothing else.
class AbleModel : public models::Model {
 public:
  NamedTensors parameters() const override { return {}; }
  void to(const at::Device&) override {}
  void train(bool) override {}
  std::vector<std::string> losses_known() const override { return {}; }
  std::map<std::string, double> counts(const Batch&, const models::LossRequest&) const override {
    return {};
  }
  LossTerms losses(const Batch&, const models::LossRequest&, const models::StepContext&) override {
    return {};
  }
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>&) override {
    return {};
  }
};

class ColourModel final : public AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    can.embed_image = [](const Images& images) {
      return normalised(images.pixels.to(at::kFloat).mean({2, 3}));  // [B, 3]
    };
    // The first token is 65536 r + 256 g + b.
    can.embed_text = [](const Tokens& tokens) {
      const at::Tensor first = tokens.ids.select(1, 0);
      return normalised(at::stack({first.div(65536, "floor"),
                                   first.div(256, "floor").remainder(256), first.remainder(256)},
                                  1)
                            .to(at::kFloat));
    };
    return can;
  }
};

// Texts are "RRGGBB ..." in hexadecimal, as many tokens as words.
inline models::Processor colour_processor() {
  models::Processor processor;
  processor.image = [](const data::Picture& picture) {
    const vision::Image& image = picture.pixels;
    at::Tensor pixels = at::tensor(std::vector<int>(image.rgb.begin(), image.rgb.end()))
                            .to(at::kByte)
                            .view({image.height, image.width, 3});
    return Images{pixels.permute({2, 0, 1}).unsqueeze(0).contiguous()};
  };
  processor.text = [](const std::string& text) {
    std::vector<std::int64_t> ids{std::stoll(text.substr(0, 6), nullptr, 16)};
    for (const char c : text) {
      if (c == ' ') ids.push_back(1);
    }
    const at::Tensor row = at::tensor(ids).unsqueeze(0);
    Tokens tokens;
    tokens.ids = row;
    tokens.mask = row.ne(-1).to(at::kLong);
    return tokens;
  };
  return processor;
}

class GivenSource final : public data::Source {
 public:
  explicit GivenSource(std::vector<data::Sample> samples) : samples_(std::move(samples)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(samples_.size()); }
  std::string fingerprint() const override { return "given"; }
  data::Sample read(std::int64_t index) const override {
    const data::Sample& sample = samples_.at(static_cast<std::size_t>(index));
    if (sample.id.starts_with("broken")) throw Error(ErrorKind::data, "cannot be read", sample.id);
    return sample;
  }

 private:
  std::vector<data::Sample> samples_;
};

// A picture of one colour, "RRGGBB", with its texts.
inline data::Sample coloured(const std::string& id, std::int64_t picture, const std::string& colour,
                             std::vector<std::string> texts, std::int64_t label = -1) {
  data::Sample sample;
  sample.id = id;
  sample.picture_id = picture;
  sample.label = label;
  const long value = std::stol(colour, nullptr, 16);
  vision::Image image = vision::make_image(2, 2);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] = static_cast<std::uint8_t>(value >> (16 - 8 * (i % 3)) & 255);
  }
  sample.pictures.push_back({{}, image});
  sample.texts = std::move(texts);
  return sample;
}

struct Setting {
  ColourModel model{};
  models::Processor processor = colour_processor();
  dist::Mesh mesh{};
  Predictions predictions{.samples = 2};

  Input input(std::vector<data::Sample> samples) {
    Input input{.model = &model,
                .processor = &processor,
                .source = std::make_shared<GivenSource>(std::move(samples)),
                .size = 1000,
                .batch = 2,
                .mesh = &mesh};
    input.predictions = &predictions;
    return input;
  }
};

inline double value_of(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  throw Error(ErrorKind::internal, "no metric " + name);
}

}  // namespace tandem::eval
