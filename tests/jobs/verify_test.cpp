// Fixtures: tests/reference/clip.py (transformers 5.17.0, torch 2.11.0).

#include "tandem/jobs/verify.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "../support/fixtures.h"
#include "tandem/base/error.h"
#include "tandem/jobs/model_files.h"
#include "tandem/tensor/safetensors.h"

namespace verify_test {

using namespace tandem;
using namespace tandem::jobs;
namespace fs = std::filesystem;
using nlohmann::json;
using tandem::testing::fixture;

namespace {

const std::vector<std::string> fixtures{"clip_quick_gelu_argmax", "clip_gelu_first_eos",
                                        "clip_mask", "clip_one_patch"};

class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "tandem_verify_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Scratch() { fs::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  fs::path path() const { return path_; }

 private:
  fs::path path_;
};

using Edit = std::function<void(TensorFile&)>;

void edit_file(const fs::path& path, const Edit& edit) {
  TensorFile file = load_safetensors(path);
  edit(file);
  save_safetensors(path, NamedTensors(file.tensors.begin(), file.tensors.end()), file.metadata);
}

void edit_json(const fs::path& path, const std::function<void(json&)>& edit) {
  json root = json::parse(std::ifstream(path));
  edit(root);
  std::ofstream(path) << root;
}

// A fixture with something done to it.
struct Copy {
  Scratch scratch;
  fs::path directory, reference;

  explicit Copy(const std::string& name) : directory(scratch.path() / name) {
    fs::copy(fixture(name), directory);
    reference = directory / "../reference.safetensors";
    fs::rename(directory / "reference.safetensors", reference);
  }
  void weights(const Edit& edit) const { edit_file(directory / "model.safetensors", edit); }
  void recorded(const Edit& edit) const { edit_file(reference, edit); }
  void config(const std::function<void(json&)>& edit) const {
    edit_json(directory / "config.json", edit);
  }
  // 0 and 1 as `tandem verify` exits, else the error's code.
  int code() const {
    try {
      return verify(directory, reference).equal() ? 0 : 1;
    } catch (const Error& error) {
      return exit_code(error.kind());
    }
  }
};

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// The weights of a CLIPModel under the names of openai/CLIP.
std::map<std::string, at::Tensor> with_openai_names(const std::map<std::string, at::Tensor>& hf) {
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, value] : hf) {
    if (name.find("k_proj") != std::string::npos || name.find("v_proj") != std::string::npos) {
      continue;
    }
    std::string to = name;
    at::Tensor tensor = value;
    if (name.find("q_proj") != std::string::npos) {
      tensor = at::cat({value, hf.at(replaced(name, "q_proj", "k_proj")),
                        hf.at(replaced(name, "q_proj", "v_proj"))});
      to = replaced(to, "self_attn.q_proj.", "attn.in_proj_");
    }
    const bool vision = to.rfind("vision_model.", 0) == 0;
    to = replaced(to, "vision_model.encoder.layers.", "visual.transformer.resblocks.");
    to = replaced(to, "text_model.encoder.layers.", "transformer.resblocks.");
    to = replaced(to, "vision_model.embeddings.class_embedding", "visual.class_embedding");
    to = replaced(to, "vision_model.embeddings.patch_embedding", "visual.conv1");
    to = replaced(to, "vision_model.embeddings.position_embedding.weight",
                  "visual.positional_embedding");
    to = replaced(to, "vision_model.pre_layrnorm", "visual.ln_pre");
    to = replaced(to, "vision_model.post_layernorm", "visual.ln_post");
    to = replaced(to, "text_model.embeddings.position_embedding.weight", "positional_embedding");
    to = replaced(to, "text_model.embeddings.", "");
    to = replaced(to, "text_model.final_layer_norm", "ln_final");
    to = replaced(to, "self_attn.", "attn.");
    to = replaced(to, "layer_norm", "ln_");
    to = replaced(replaced(to, "mlp.fc1", "mlp.c_fc"), "mlp.fc2", "mlp.c_proj");
    if (name == "visual_projection.weight" || name == "text_projection.weight") {
      to = name == "text_projection.weight" ? "text_projection" : "visual.proj";
      tensor = value.t().contiguous();
    }
    CHECK((vision ? to.rfind("visual.", 0) == 0 : true));
    out[to] = tensor;
  }
  out["input_resolution"] = at::full({}, 32, at::kLong);
  out["context_length"] = at::full({}, 12, at::kLong);
  out["vocab_size"] = at::full({}, 99, at::kLong);
  return out;
}

}  // namespace

TEST_CASE("outputs, loss and gradients equal those that transformers recorded") {
  for (const std::string& name : fixtures) {
    CAPTURE(name);
    const VerifyReport report = verify(fixture(name), fixture(name) / "reference.safetensors");
    INFO(report.text());
    CHECK(report.equal());
    CHECK(report.lines.size() > 40);
    const std::string count = std::to_string(report.lines.size());
    CHECK(report.text().find(count + " of " + count + " equal; worst ") != std::string::npos);
  }
}

TEST_CASE("any single weight that is a little off is a difference") {
  for (const char* name :
       {"vision_model.encoder.layers.0.self_attn.k_proj.weight", "text_projection.weight",
        "vision_model.pre_layrnorm.bias", "text_model.encoder.layers.1.mlp.fc2.bias",
        "vision_model.embeddings.class_embedding", "logit_scale"}) {
    CAPTURE(name);
    const Copy copy("clip_gelu_first_eos");
    copy.weights([&](TensorFile& file) { file.tensors.at(name).view({-1})[0].add_(0.02); });
    CHECK(copy.code() == 1);
  }
}

TEST_CASE("a wrong epsilon, activation, pooling or number of heads is a difference") {
  const std::vector<std::function<void(json&)>> edits{
      [](json& c) { c["vision_config"]["layer_norm_eps"] = 1e-5; },
      [](json& c) { c["text_config"]["layer_norm_eps"] = 1e-5; },
      [](json& c) { c["vision_config"]["hidden_act"] = "quick_gelu"; },
      [](json& c) { c["text_config"]["hidden_act"] = "quick_gelu"; },
      [](json& c) { c["text_config"]["eos_token_id"] = 2; },
      [](json& c) { c["text_config"]["num_attention_heads"] = 4; },
      [](json& c) { c["vision_config"]["num_attention_heads"] = 4; }};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    CAPTURE(i);
    const Copy copy("clip_gelu_first_eos");
    copy.config(edits[i]);
    CHECK(copy.code() == 1);
  }
}

TEST_CASE("an output that differs is named as the worst") {
  const Copy copy("clip_mask");
  copy.recorded([](TensorFile& file) { file.tensors.at("output.text_embeds").add_(0.01); });
  const VerifyReport report = verify(copy.directory, copy.reference);
  CHECK_FALSE(report.equal());
  CHECK(report.text().find("worst output.text_embeds\n") != std::string::npos);
  CHECK(report.text().find("DIFFERENT") != std::string::npos);
}

TEST_CASE("another shape, a NaN and a changed gradient are differences") {
  const std::vector<Edit> edits{
      [](TensorFile& file) {
        file.tensors["output.text_embeds"] = at::zeros({4, 21});
      },
      [](TensorFile& file) {
        file.tensors.at("output.loss").fill_(std::numeric_limits<float>::quiet_NaN());
      },
      [](TensorFile& file) { file.tensors.at("output.loss").mul_(1 + 3e-5); },
      [](TensorFile& file) {
        at::Tensor g = file.tensors.at("grad.visual_projection.weight");
        g.view({-1})[3] += 2e-3 * g.abs().max();
      }};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    CAPTURE(i);
    const Copy copy("clip_mask");
    copy.recorded(edits[i]);
    CHECK(copy.code() == 1);
  }
}

TEST_CASE("rows of padding are not compared, rows of tokens are") {
  const auto change = [](bool visible) {
    const Copy copy("clip_mask");
    copy.recorded([&](TensorFile& file) {
      const at::Tensor mask = file.tensors.at("input.attention_mask").ne(0);
      const at::Tensor rows = (visible ? mask : mask.logical_not()).unsqueeze(-1);
      at::Tensor& hidden = file.tensors.at("output.text_model_output.last_hidden_state");
      hidden = hidden + rows.to(at::kFloat);
    });
    return copy.code();
  };
  CHECK(change(false) == 0);
  CHECK(change(true) == 1);
}

TEST_CASE("extra tensors are ignored, and outputs that are not recorded") {
  const Copy copy("clip_mask");
  copy.recorded([](TensorFile& file) {
    file.tensors["extra.anything"] = at::ones({2});
    file.tensors.erase("output.loss");
    file.tensors.erase("grad.logit_scale");
  });
  CHECK(copy.code() == 0);
}

TEST_CASE("an unknown class, input, output or gradient is a bad command") {
  const std::vector<Edit> edits{
      [](TensorFile& file) { file.tensors["input.nonsense"] = at::ones({2}); },
      [](TensorFile& file) { file.tensors.erase("input.input_ids"); },
      [](TensorFile& file) { file.tensors.erase("input.pixel_values"); },
      [](TensorFile& file) {
        file.tensors["input.pixel_values"] = at::ones({4, 3, 3, 3});
      },
      [](TensorFile& file) {
        file.tensors["input.input_ids"] = at::full({4, 9}, 99, at::kLong);
      },
      [](TensorFile& file) { file.tensors["output.nonsense"] = at::ones({2}); },
      [](TensorFile& file) { file.tensors["grad.nonsense"] = at::ones({2}); },
      [](TensorFile& file) {
        std::erase_if(file.tensors,
                      [](const auto& item) { return item.first.rfind("output.", 0) == 0; });
      }};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    CAPTURE(i);
    const Copy copy("clip_mask");
    copy.recorded(edits[i]);
    CHECK(copy.code() == 64);
  }
  const Copy unknown("clip_mask");
  unknown.config([](json& c) { c["architectures"] = {"NoModel"}; });
  CHECK(unknown.code() == 64);
  const Copy broken("clip_mask");
  std::ofstream(broken.directory / "config.json") << "{";
  CHECK(broken.code() == 64);
  const Copy missing("clip_mask");
  fs::remove(missing.directory / "config.json");
  CHECK(missing.code() == 64);
}

TEST_CASE("a config.json without a class falls back on the reference's") {
  const Copy copy("clip_mask");
  copy.config([](json& c) { c.erase("architectures"); });
  CHECK(copy.code() == 0);
  copy.recorded([](TensorFile& file) { file.metadata.erase("class"); });
  CHECK(copy.code() == 64);
}

TEST_CASE("missing, surplus and broken tensors are bad data") {
  const std::vector<Edit> edits{
      [](TensorFile& file) { file.tensors.erase("logit_scale"); },
      [](TensorFile& file) { file.tensors["surplus"] = at::ones({2}); },
      [](TensorFile& file) {
        file.tensors["text_projection.weight"] = at::ones({2, 2});
      },
      [](TensorFile& file) {
        file.tensors["vision_model.embeddings.position_embedding.weight"] = at::ones({26, 16});
      }};
  for (std::size_t i = 0; i < edits.size(); ++i) {
    CAPTURE(i);
    const Copy copy("clip_mask");
    copy.weights(edits[i]);
    CHECK(copy.code() == 65);
  }
  const Copy cut("clip_mask");
  fs::resize_file(cut.directory / "model.safetensors", 5000);
  CHECK(cut.code() == 65);
  const Copy gone("clip_mask");
  fs::remove(gone.directory / "model.safetensors");
  CHECK(gone.code() == 65);
  const Copy reference("clip_mask");
  fs::resize_file(reference.reference, 5000);
  CHECK(reference.code() == 65);
  const Copy key("clip_mask");
  key.recorded([](TensorFile& file) { file.tensors["what"] = at::ones({1}); });
  CHECK(key.code() == 65);
}

TEST_CASE("sizes that no memory holds are bad data, not a crash") {
  const Copy copy("clip_mask");
  copy.config([](json& c) {
    c["vision_config"]["num_hidden_layers"] = 1024;  // more than the address space
    c["vision_config"]["hidden_size"] = 65536;
    c["vision_config"]["intermediate_size"] = 1 << 20;
    c["vision_config"]["num_attention_heads"] = 1;
  });
  CHECK(copy.code() == 65);
}

TEST_CASE("buffers may be there or not") {
  const Copy copy("clip_mask");
  copy.weights([](TensorFile& file) {
    file.tensors["text_model.embeddings.position_ids"] = at::zeros({1, 12}, at::kLong);
  });
  CHECK(copy.code() == 0);
}

TEST_CASE("an alias of a weight must hold the same numbers") {
  const Copy copy("clip_mask");
  copy.recorded([](TensorFile& file) { file.metadata["aliases"] = R"({"scale": "logit_scale"})"; });
  CHECK(copy.code() == 0);
  copy.weights(
      [](TensorFile& file) { file.tensors["scale"] = file.tensors.at("logit_scale").clone(); });
  CHECK(copy.code() == 0);
  copy.weights([](TensorFile& file) { file.tensors.at("scale").add_(1); });
  CHECK(copy.code() == 65);
  copy.recorded([](TensorFile& file) { file.metadata["aliases"] = "[1]"; });
  CHECK(copy.code() == 65);
}

TEST_CASE("weights under OpenAI's names give the same outputs") {
  const Copy copy("clip_quick_gelu_argmax");
  copy.weights([](TensorFile& file) { file.tensors = with_openai_names(file.tensors); });
  CHECK(copy.code() == 0);
}

TEST_CASE("importing and exporting a Hugging Face directory keeps every byte of its data") {
  const Scratch scratch;
  std::ofstream(scratch.path() / "x") << "";
  import_model(fixture("clip_mask"), scratch.path() / "imported");
  export_model(scratch.path() / "imported", scratch.path() / "exported");
  const TensorFile before = load_safetensors(fixture("clip_mask") / "model.safetensors");
  const TensorFile after = load_safetensors(scratch.path() / "exported/model.safetensors");
  CHECK(after.metadata.at("format") == "pt");
  REQUIRE(before.tensors.size() == after.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    CAPTURE(name);
    CHECK(tensor.scalar_type() == after.tensors.at(name).scalar_type());
    CHECK(tensor.equal(after.tensors.at(name)));
  }
  CHECK(bytes_of(scratch.path() / "exported/config.json") ==
        bytes_of(fixture("clip_mask") / "config.json"));
  CHECK(fs::exists(scratch.path() / "exported/preprocessor_config.json"));
  CHECK(bytes_of(scratch.path() / "imported/model.safetensors") ==
        bytes_of(scratch.path() / "exported/model.safetensors"));
}

TEST_CASE("a processor inside processor_config.json is read and exported") {
  const Copy copy("clip_mask");
  std::ofstream(copy.directory / "processor_config.json")
      << R"({"image_processor": {"image_mean": [0.5, 0.25, 0.125], "resample": 2}})";
  const ModelFiles files = read_model(copy.directory);
  const json own = json::parse(files.family->processor_files(*files.settings).at(0).second);
  CHECK(own.at("image_mean") == json({0.5, 0.25, 0.125}));
  export_model(copy.directory, copy.scratch.path() / "out");
  const json out = json::parse(bytes_of(copy.scratch.path() / "out/preprocessor_config.json"));
  CHECK(out.at("image_mean") == own.at("image_mean"));
  CHECK(out.at("resample") == 2);
}

TEST_CASE("an import keeps half precision as it is") {
  const Copy copy("clip_mask");
  copy.weights([](TensorFile& file) {
    for (auto& [name, tensor] : file.tensors) tensor = tensor.to(at::kBFloat16);
  });
  export_model(copy.directory, copy.scratch.path() / "out");
  const TensorFile out = load_safetensors(copy.scratch.path() / "out/model.safetensors");
  CHECK(out.tensors.at("text_projection.weight").scalar_type() == at::kBFloat16);
}

TEST_CASE("an export never writes into a directory that holds something") {
  const Scratch scratch;
  std::ofstream(scratch.path() / "mine") << "x";
  CHECK_THROWS_AS(export_model(fixture("clip_mask"), scratch.path()), Error);
  CHECK_THROWS_AS(export_model(scratch.path(), scratch.path() / "new"), Error);  // no model
  CHECK_FALSE(fs::exists(scratch.path() / "new"));
}

TEST_CASE("the newest checkpoint of a run is its model") {
  const Scratch scratch;
  for (const char* name : {"step-000090", "step-1000000", "step-000100", "step-2000000.tmp.x"}) {
    fs::create_directories(scratch.path() / "checkpoints" / name);
    std::ofstream(scratch.path() / "checkpoints" / name / "config.json") << "{}";
  }
  CHECK(model_directory(scratch.path()).filename() == "step-1000000");
}

}  // namespace verify_test
