// Boxes that are written down, by a model that is told what to reply.

#include "eval/written_boxes.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "support.h"

namespace written_boxes_test {

using namespace tandem;
using namespace tandem::eval;

namespace {

class BoxingModel final : public AbleModel {
 public:
  models::Abilities abilities() override {
    models::Abilities can;
    can.generate = [this](const Batch& prompts, const models::GenerateOptions& options) {
      room = options.max_length;
      std::vector<std::vector<std::int64_t>> ids;
      for (std::int64_t i = 0; i < prompts.text->ids.size(0); ++i) {
        ids.push_back({prompts.text->ids[i][0].item<std::int64_t>()});
      }
      return ids;
    };
    return can;
  }
  std::int64_t room = 0;
};

// Pictures of 200 x 100 pixels, seen at 40 x 20: a grid of 10 x 20 patches of 2 x 2.
struct Located {
  BoxingModel model{};
  models::Processor processor{};
  dist::Mesh mesh{};
  Predictions predictions{.samples = 1};
  std::vector<data::Sample> samples{};
  std::vector<std::string> replies{};
  bool patches = true;

  void add(const std::string& reply) {
    data::Sample& sample = samples.emplace_back();
    sample.id = std::to_string(replies.size());
    sample.pictures.push_back({{}, vision::make_image(200, 100)});
    sample.texts = {"the red ring"};
    sample.boxes = {{0, 0, 100, 50}};
    replies.push_back(reply);
  }

  Input input() {
    processor.prompt = [this](const data::Sample& sample, const std::string&) {
      Batch batch;
      batch.text = Tokens{};
      batch.text->ids = at::full({1, 1}, std::stoll(sample.id), at::kLong);
      batch.text->mask = at::full({1, 1}, 1, at::kLong);
      if (patches) {
        batch.patches = PackedPatches{at::zeros({200, 24}, at::kByte),
                                      at::tensor({1, 10, 20}, at::kLong).view({1, 3}),
                                      at::tensor({0, 200}, at::kInt)};
      }
      return batch;
    };
    processor.decode = [this](const std::vector<std::int64_t>& ids) {
      return replies.at(static_cast<std::size_t>(ids.at(0)));
    };
    Input input{.model = &model,
                .processor = &processor,
                .source = std::make_shared<GivenSource>(samples),
                .size = 100,
                .batch = 2,
                .threads = 1,
                .mesh = &mesh};
    input.predictions = &predictions;
    return input;
  }
};

}  // namespace

TEST_CASE("boxes that are written count in thousandths, or in pixels of what is seen") {
  Located located;
  located.add("<box>(0,0),(500,500)</box>");                           // the box
  located.add("it is at (0,0),(250,250)");                             // a quarter of it
  located.add(R"([{"bbox_2d": [0, 0, 20, 10], "label": "a ring"}])");  // the box
  located.add("nowhere");
  const Metrics metrics = written_boxes(located.input());
  CHECK(value_of(metrics, "accuracy") == Approx(0.5));
  CHECK(value_of(metrics, "iou") == Approx((1 + 0.25 + 1 + 0) / 4));
  CHECK(located.model.room >= 64);  // a box fits
  CHECK(located.predictions.lines.size() == 4);
}

TEST_CASE("boxes in JSON need the size of what is seen, and samples a box") {
  Located located;
  located.patches = false;
  located.add(R"({"bbox_2d": [0, 0, 20, 10]})");
  CHECK(value_of(written_boxes(located.input()), "iou") == 0);
  located.samples[0].boxes.clear();
  CHECK_THROWS_WITH(written_boxes(located.input()),
                    Catch::Contains("expected a picture with a box"));
  ColourModel mute;
  Input input = located.input();
  input.model = &mute;
  CHECK_THROWS_WITH(written_boxes(input), Catch::Contains("a model that writes"));
}

}  // namespace written_boxes_test
