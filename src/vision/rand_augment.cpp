#include "tandem/vision/rand_augment.h"

#include <algorithm>

#include "tandem/base/error.h"
#include "vision/augment_ops.h"

namespace tandem::vision {
namespace {

struct Variant {
  std::span<const AugmentOp> ops{};
  double most = 10;       // the magnitude of full strength
  double left_out = 0.5;  // probability of an operation that was drawn
};

Variant variant_of(const std::string& name) {
  if (name == "vilt") return {vilt_ops(), 30, 0};
  TANDEM_CHECK(name == "lavis", "[rand_augment] no variant " + name);
  return {lavis_ops(), 10, 0.5};
}

const AugmentOp* find(const Variant& variant, const std::string& name) {
  for (const AugmentOp& op : variant.ops) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

std::vector<const AugmentOp*> chosen_ops(const Variant& variant,
                                         const RandAugmentSettings& settings) {
  std::vector<const AugmentOp*> chosen;
  for (const AugmentOp& op : variant.ops) {
    if (settings.only.empty() && op.by_default) chosen.push_back(&op);
  }
  for (const std::string& name : settings.only) {
    if (const AugmentOp* op = find(variant, name)) chosen.push_back(op);
  }
  return chosen;
}

}  // namespace

void fields(FieldVisitor& v, RandAugmentSettings& s) {
  v.field(
      "variant", s.variant,
      {.doc = "lavis: that of ALBEF, VLMo, BLIP and LAVIS, after the crop; vilt: ViLT's, on the "
              "whole picture",
       .choices = {"lavis", "vilt"}});
  v.field("ops", s.ops,
          {.doc = "operations that are drawn, with repetition; lavis leaves each out with "
                  "probability 1/2",
           .min = 1,
           .max = 100,
           .aliases = {"n", "num_ops", "N"}});
  v.field("magnitude", s.magnitude,
          {.doc = "strength: lavis of 10, vilt of 30", .min = 0, .aliases = {"m", "level", "M"}});
  v.field("only", s.only,
          {.doc = "operations to draw from, by the original's names; empty: the variant's",
           .aliases = {"augs"}});
  if (s.variant != "lavis" && s.variant != "vilt") return;  // told above
  const Variant variant = variant_of(s.variant);
  if (s.magnitude > variant.most) {
    v.problem("magnitude", "expected at most " + std::to_string(static_cast<int>(variant.most)) +
                               " of this variant");
  }
  const auto unknown = std::find_if(s.only.begin(), s.only.end(), [&](const std::string& name) {
    return find(variant, name) == nullptr;
  });
  if (unknown == s.only.end()) return;
  std::string text = "no operation '" + *unknown + "' of this variant; there are";
  for (const AugmentOp& op : variant.ops) text.append(" ").append(op.name);
  v.problem("only", text);
}

Image rand_augment(const Image& image, const RandAugmentSettings& settings, Key key) {
  const Variant variant = variant_of(settings.variant);
  const std::vector<const AugmentOp*> ops = chosen_ops(variant, settings);
  TANDEM_CHECK(!ops.empty(), "[rand_augment] nothing to draw from");
  Random random(key.fold("rand_augment"));
  Image out = image;
  for (std::int64_t i = 0; i < settings.ops; ++i) {
    const AugmentOp& op = *ops[random.below(ops.size())];
    const bool is_left_out = random.chance(variant.left_out);
    const bool negative = random.chance(0.5);
    if (!is_left_out) out = op.apply(out, settings.magnitude / variant.most, negative);
  }
  return out;
}

std::vector<std::string> rand_augment_ops(const std::string& variant) {
  std::vector<std::string> names;
  for (const AugmentOp& op : variant_of(variant).ops) names.push_back(op.name);
  return names;
}

Image apply_op(const std::string& variant, const std::string& op, const Image& image,
               double magnitude, bool negative) {
  const Variant found = variant_of(variant);
  const AugmentOp* one = find(found, op);
  TANDEM_CHECK(one != nullptr, "[rand_augment] no operation " + op);
  return one->apply(image, magnitude / found.most, negative);
}

}  // namespace tandem::vision
