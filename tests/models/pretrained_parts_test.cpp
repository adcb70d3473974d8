// A tower and a language model from folders of their own.

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "../support/temporary.h"
#include "models/llava/model.h"
#include "models/qwen2_vl/model.h"
#include "tandem/base/error.h"
#include "tandem/tensor/safetensors.h"

namespace pretrained_parts_test {

using namespace tandem;
using namespace tandem::models;
using tandem::testing::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

llava::Config small(std::int64_t rows) {
  llava::Config config;
  config.vision.image_size = 8;
  config.vision.patch_size = 4;
  config.vision.width = 12;
  config.vision.layers = 2;
  config.vision.heads = 2;
  config.language.width = 16;
  config.language.layers = 2;
  config.language.heads = 4;
  config.language.mlp = 20;
  config.language.vocab_size = rows;
  config.image_id = rows - 1;
  return config;
}

// As CLIP and LLaMA name them, in two folders.
void write_parts(const llava::LlavaModel& model, const fs::path& tower, const fs::path& words) {
  const std::string in_tower = "vision_tower.", in_words = "language_model.";
  NamedTensors of_tower, of_words;
  for (const auto& [name, value] : model.parameters()) {
    if (name.starts_with(in_tower)) {
      of_tower.emplace_back(name.substr(in_tower.size()), value.detach());
    } else if (name.starts_with(in_words)) {
      of_words.emplace_back(name.substr(in_words.size()), value.detach());
    }
  }
  of_tower.emplace_back("text_model.final_layer_norm.weight", of_tower.front().second);
  save_safetensors(tower / "model.safetensors", of_tower, {});
  save_safetensors(words / "model.safetensors", of_words, {});
}

at::Tensor named(const Model& model, const std::string& name) {
  for (const auto& [key, value] : model.parameters()) {
    if (key == name) return value.detach();
  }
  return {};
}

}  // namespace

TEST_CASE("LLaVA begins with the tower of a CLIP and a language model, each from its folder") {
  const TemporaryDirectory tower, words;
  const llava::LlavaModel theirs(small(40), Key(1));
  write_parts(theirs, tower.path(), words.path());
  llava::Config config = small(42);  // two marks more than the file knows
  config.vision_pretrained = tower.path().string();
  config.language_pretrained = words.path().string();
  const llava::LlavaModel model(config, Key(2));
  const llava::LlavaModel plain(small(42), Key(2));
  for (const auto& [name, value] : model.parameters()) {
    INFO(name);
    const at::Tensor before = named(theirs, name), fresh = named(plain, name);
    if (name.starts_with("multi_modal_projector.")) {
      CHECK(at::equal(value, fresh));
    } else if (value.sizes() == before.sizes()) {
      CHECK(at::equal(value, before));
    } else {  // the table of words, and the head
      CHECK(at::equal(value.narrow(0, 0, 40), before));
      CHECK(at::equal(value.narrow(0, 40, 2), fresh.narrow(0, 40, 2)));
    }
  }
}

TEST_CASE("a part of another size is named with its folder") {
  const TemporaryDirectory tower, words;
  write_parts(llava::LlavaModel(small(40), Key(1)), tower.path(), words.path());
  llava::Config config = small(40);
  config.vision_pretrained = tower.path().string();
  config.vision.width = 24;
  try {
    const llava::LlavaModel model(config, Key(2));
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    CHECK(std::string(error.what()).find("expected vision_tower.vision_model.") !=
          std::string::npos);
    CHECK(std::string(error.what()).find(tower.path().string()) != std::string::npos);
  }
  config.vision_pretrained = (tower.path() / "nothing").string();
  fs::create_directory(config.vision_pretrained);
  CHECK_THROWS_WITH(llava::LlavaModel(config, Key(2)), Catch::Contains("expected *.safetensors"));
}

TEST_CASE("sizes of a language model come from its config.json") {
  const TemporaryDirectory folder;
  std::ofstream(folder.path() / "config.json")
      << R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 24,
             "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
             "intermediate_size": 40, "vocab_size": 50, "max_position_embeddings": 64,
             "rope_theta": 1000000.0, "tie_word_embeddings": true})";
  LanguageConfig config;
  read_language_sizes(config, folder.path().string());
  CHECK(config.kind == "qwen2");
  CHECK(config.width == 24);
  CHECK(config.layers == 3);
  CHECK(config.kv_heads == 2);
  CHECK(config.vocab_size == 50);
  CHECK(config.tied);
  CHECK(config.rope_theta == 1e6);
  read_language_sizes(config, (folder.path() / "absent").string());  // a plan without weights
  CHECK(config.width == 24);
}

namespace {

qwen2_vl::Config small_qwen(std::int64_t rows, std::int64_t width = 16) {
  qwen2_vl::Config config(qwen2_vl::Version::two);
  config.vision.width = 16;
  config.vision.layers = 2;
  config.vision.heads = 2;
  config.vision.mlp = 24;
  config.vision.patch.patch = 4;
  config.text.width = width;
  config.text.layers = 2;
  config.text.heads = width / 8;
  config.text.kv_heads = 1;
  config.text.mlp = 24;
  config.text.sections = {1, 1, 2};
  config.text.vocab_size = rows;
  config.text.tied = false;
  config.marks.image = rows - 1;
  config.marks.video = rows - 2;
  return config;
}

// By the names of a Qwen2 and of a Qwen2-VL.
void write_qwen_parts(const Model& model, const fs::path& tower, const fs::path& words) {
  NamedTensors of_tower, of_words;
  for (const auto& [name, value] : model.parameters()) {
    if (name.starts_with("visual.")) {
      of_tower.emplace_back("model." + name, value.detach());
    } else {
      of_words.emplace_back(name, value.detach());
    }
  }
  save_safetensors(tower / "model.safetensors", of_tower, {});
  save_safetensors(words / "model.safetensors", of_words, {});
  std::ofstream(words / "config.json")
      << R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 16,
             "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
             "intermediate_size": 24, "vocab_size": 40, "max_position_embeddings": 64,
             "rms_norm_eps": 1e-5, "rope_theta": 5000.0, "tie_word_embeddings": false})";
}

}  // namespace

TEST_CASE("Qwen2-VL begins with a tower and a Qwen2, each from its folder") {
  const TemporaryDirectory tower, words;
  const qwen2_vl::Qwen2VlModel theirs(small_qwen(40), Key(1));
  write_qwen_parts(theirs, tower.path(), words.path());
  qwen2_vl::Config config = small_qwen(42);
  config.vision_pretrained = tower.path().string();
  config.language_pretrained = words.path().string();
  read_text_sizes(config, config.language_pretrained);
  CHECK(config.text.theta == 5000);
  CHECK(config.text.rms_norm_eps == 1e-5);
  CHECK(config.text.sections == std::vector<std::int64_t>{1, 1, 2});
  CHECK(config.text.vocab_size == 40);
  config.text.vocab_size = 42;
  const qwen2_vl::Qwen2VlModel model(config, Key(2)), plain(small_qwen(42), Key(2));
  for (const auto& [name, value] : model.parameters()) {
    INFO(name);
    const at::Tensor before = named(theirs, name);
    if (value.sizes() == before.sizes()) {
      CHECK(at::equal(value, before));
    } else {
      CHECK(at::equal(value.narrow(0, 0, 40), before));
      CHECK(at::equal(value.narrow(0, 40, 2), named(plain, name).narrow(0, 40, 2)));
    }
  }
  // Another language model: the merger begins anew, the rest of the tower is theirs.
  qwen2_vl::Config wider = small_qwen(42, 24);
  wider.vision_pretrained = tower.path().string();
  const qwen2_vl::Qwen2VlModel other(wider, Key(2));
  CHECK(at::equal(named(other, "visual.blocks.1.attn.qkv.weight"),
                  named(theirs, "visual.blocks.1.attn.qkv.weight")));
  CHECK_FALSE(at::equal(named(other, "visual.merger.mlp.0.weight"),
                        named(theirs, "visual.merger.mlp.0.weight")));
  wider.language_pretrained = words.path().string();
  CHECK_THROWS_WITH(qwen2_vl::Qwen2VlModel(wider, Key(2)),
                    Catch::Contains("expected model.embed_tokens.weight"));
}

}  // namespace pretrained_parts_test
