// What comes in from the originals' files goes out with the same bytes. The fixtures hold models of
// the original code and of transformers, under the names that these save.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "../support/fixtures.h"
#include "../support/temporary.h"
#include "tandem/jobs/model_files.h"
#include "tandem/tensor/safetensors.h"

namespace round_trip_test {

using namespace tandem;
using tandem::testing::bytes_of_file;
using tandem::testing::fixture;
using tandem::testing::put_file;
using tandem::testing::TemporaryDirectory;

namespace {

using Tensors = std::map<std::string, at::Tensor>;

bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.equal(b);
}

// A table that the model makes for itself.
bool made_again(const std::string& name) {
  return name.ends_with("position_ids") || name.ends_with("relative_position_index") ||
         name.ends_with("token_type_ids");
}

struct RoundTrip {
  TemporaryDirectory scratch;
  Tensors before, after;

  explicit RoundTrip(const std::filesystem::path& in) {
    const auto out = scratch / "imported", again = scratch / "exported";
    jobs::import_model(in, out);
    jobs::export_model(out, again, {});
    // What was taken in once goes out as it is.
    CHECK(bytes_of_file(out / "model.safetensors") == bytes_of_file(again / "model.safetensors"));
    CHECK(bytes_of_file(again / "config.json") == bytes_of_file(in / "config.json"));
    before = load_safetensors(in / "model.safetensors").tensors;
    after = load_safetensors(again / "model.safetensors").tensors;
  }
};

// Every tensor under its name; a second name of a tensor is left out, and so is what can be made
// again.
void check_same_names(const std::string& name, std::size_t doubles) {
  CAPTURE(name);
  const RoundTrip trip(fixture(name));
  for (const auto& [key, tensor] : trip.after) {
    CAPTURE(key);
    REQUIRE(trip.before.count(key) == 1);
    CHECK(same(tensor, trip.before.at(key)));
  }
  std::size_t left_out = 0;
  for (const auto& [key, tensor] : trip.before) {
    if (trip.after.count(key) == 1 || made_again(key)) continue;
    CAPTURE(key);
    ++left_out;
    bool twin = false;
    for (const auto& item : trip.after) twin = twin || same(item.second, tensor);
    CHECK(twin);
  }
  if (doubles == 0) CHECK(left_out == 0);
  if (doubles > 0) CHECK(left_out >= doubles);
  CHECK(trip.after.size() > 30);
}

}  // namespace

TEST_CASE("round trip: ALBEF's files keep their names and bytes, tied tensors stand once") {
  for (const char* name : {"albef_cold", "albef_retrieval", "albef_retrieval_plain",
                           "albef_entailment", "albef_entailment_plain"}) {
    check_same_names(name, 0);
  }
  for (const char* name :
       {"albef_half", "albef_hot", "albef_all_fuse", "albef_none_fuses", "albef_steps",
        "albef_assignment", "albef_reasoning", "albef_answering", "albef_answering_plain"}) {
    check_same_names(name, 2);
  }
}

TEST_CASE("round trip: VLMo's files keep their names and bytes, tables of indices are left out") {
  for (const char* name : {"vlmo_base", "vlmo_base_plus", "vlmo_grid", "vlmo_no_joint",
                           "vlmo_all_joint", "vlmo_language", "vlmo_language_plus"}) {
    check_same_names(name, 0);
  }
}

TEST_CASE("round trip: BLIP's files keep their names and bytes, what is shared stands once") {
  for (const char* name :
       {"blip_caption", "blip_caption_plain", "blip_caption_small", "blip_caption_untied",
        "blip_answer", "blip_answer_labels", "blip_match", "blip_cosine", "blip_contrast",
        "blip_contrast_encoder", "blip_pretrain_clamped", "blip_retrieval", "blip_nlvr"}) {
    check_same_names(name, 0);
  }
  for (const char* name : {"blip_pretrain", "blip_pretrain_soft"}) check_same_names(name, 10);
}

TEST_CASE("round trip: ViLT's files of transformers keep their names and bytes") {
  for (const char* name : {"vilt_masked_lm", "vilt_model", "vilt_nlvr2", "vilt_vqa", "vilt_tokens",
                           "vilt_square", "vilt_limit", "vilt_embeddings"}) {
    check_same_names(name, 0);
  }
}

TEST_CASE(
    "round trip: ViLT's original files come out as transformers', queries, keys, values apart") {
  for (const char* name : {"vilt_pretraining", "vilt_pretraining_200"}) {
    CAPTURE(name);
    // Their config.json is one of transformers; the class alone says what the file holds.
    const TemporaryDirectory original;
    std::filesystem::copy_file(fixture(name) / "model.safetensors", original / "model.safetensors");
    std::string config = bytes_of_file(fixture(name) / "config.json");
    const std::string theirs = "ViltForMaskedLM";
    REQUIRE(config.find(theirs) != std::string::npos);
    put_file(original / "config.json",
             config.replace(config.find(theirs), theirs.size(), "ViLTransformerSS"));
    const RoundTrip trip(original.path());
    std::size_t packed = 0;
    for (const auto& [key, tensor] : trip.before) {
      const std::size_t at = key.find(".attn.qkv.");
      if (at == std::string::npos) continue;
      const std::string start = "transformer.blocks.";
      const std::string layer = "vilt.encoder.layer." + key.substr(start.size(), at - start.size());
      const std::string leaf = key.substr(at + std::string(".attn.qkv.").size());
      std::vector<at::Tensor> parts;
      for (const char* part : {"query", "key", "value"}) {
        parts.push_back(trip.after.at(layer + ".attention.attention." + part + "." + leaf));
      }
      CHECK(same(at::cat(parts), tensor));
      ++packed;
    }
    CHECK(packed >= 2);
    const std::string words = "text_embeddings.word_embeddings.weight";
    CHECK(same(trip.after.at("vilt.embeddings." + words), trip.before.at(words)));
    for (const auto& [key, tensor] : trip.before) {
      if (key.find(".attn.qkv.") != std::string::npos || made_again(key)) continue;
      CAPTURE(key);
      bool there = false;
      for (const auto& item : trip.after) there = there || same(item.second, tensor);
      CHECK(there);
    }
  }
}

}  // namespace round_trip_test
