#include "tandem/jobs/verify.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "tandem/base/error.h"
#include "tandem/base/json.h"
#include "tandem/jobs/model_files.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/tensor/shape.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, at::Tensor>;

[[noreturn]] void refuse(const std::string& what, const std::string& where = {}) {
  throw Error(ErrorKind::config, "[verify] " + what, where);
}

// The reference, taken apart by the first word of its keys.
struct Reference {
  Tensors inputs, outputs, gradients;
  std::string model_class;
  std::map<std::string, std::string> aliases;  // another name of a tied weight -> its first
};

std::map<std::string, std::string> read_aliases(const std::string& text, const std::string& where) {
  const nlohmann::json root = parse_json(text, where);
  std::map<std::string, std::string> aliases;
  bool good = root.is_object();
  for (auto it = root.begin(); good && it != root.end(); ++it) {
    good = it->is_string();
    if (good) aliases[it.key()] = it->get<std::string>();
  }
  if (!good) throw Error(ErrorKind::data, "[verify] expected aliases to be a map of names", where);
  return aliases;
}

Reference read_reference(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) refuse("expected a reference file", path.string());
  TensorFile file = load_safetensors(path);
  Reference reference;
  const std::vector<std::pair<std::string, Tensors*>> kinds{{"input.", &reference.inputs},
                                                            {"output.", &reference.outputs},
                                                            {"grad.", &reference.gradients}};
  for (const auto& [key, tensor] : file.tensors) {
    if (key.rfind("extra.", 0) == 0) continue;
    bool taken = false;
    for (const auto& [prefix, kind] : kinds) {
      if (key.rfind(prefix, 0) != 0) continue;
      (*kind)[key.substr(prefix.size())] = tensor;
      taken = true;
    }
    if (!taken) {
      std::string what = "[verify] expected input.*, output.*, grad.* or extra.*; got ";
      throw Error(ErrorKind::data, what.append(key), path.string());
    }
  }
  if (reference.outputs.empty()) refuse("expected at least one output.*", path.string());
  reference.model_class = file.metadata["class"];
  if (const auto found = file.metadata.find("aliases"); found != file.metadata.end()) {
    reference.aliases = read_aliases(found->second, path.string());
  }
  return reference;
}

// A table of another size than config.json says would be resized on import; here it is broken.
void check_shapes(const Tensors& file, const Tensors& imported) {
  for (const auto& [name, tensor] : imported) {
    const auto before = file.find(name);
    if (before != file.end() && before->second.sizes() != tensor.sizes()) {
      throw Error(ErrorKind::data, "[verify] a shape that config.json does not have", name);
    }
  }
}

// A tied weight may stand in the file under each of its names.
void drop_aliases(ModelFiles& files, const Reference& reference, const fs::path& directory) {
  for (const auto& [name, first] : reference.aliases) {
    const auto alias = files.weights.find(name), own = files.weights.find(first);
    if (alias == files.weights.end()) continue;
    if (own == files.weights.end()) {  // only the other name is there
      files.weights[first] = alias->second;
    } else if (!own->second.equal(alias->second)) {
      throw Error(ErrorKind::data, "[verify] expected " + name + " to equal " + first,
                  directory.string());
    }
    files.weights.erase(name);
  }
}

struct LoadedModel {
  ModelFiles files;
  std::unique_ptr<models::Model> model;
};

LoadedModel load(const fs::path& directory, const Reference& reference) {
  ModelFiles files;
  try {
    files = read_model(model_directory(directory), reference.model_class);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    throw Error(ErrorKind::data, error.message(), error.where(), error.hint());
  }
  drop_aliases(files, reference, directory);
  check_shapes(files.weights, files.family->import_weights(files.weights, *files.settings));
  try {
    auto model = make_model(files);
    model->train(false);
    return {std::move(files), std::move(model)};
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // sizes in config.json that no memory holds
    throw Error(ErrorKind::data, std::string("[verify] the model cannot be made: ") + error.what(),
                directory.string());
  }
}

// --- Comparison ------------------------------------------------------------------------------

// Outputs with a row for every token; the others may have a side of the mask's length by chance.
bool is_of_tokens(const std::string& name) {
  static const std::set<std::string> others{"logits_per_image", "logits_per_text", "image_embeds",
                                            "text_embeds", "itm_score"};
  return !others.contains(name) && name.find("pooler_output") == std::string::npos;
}

// Where the recorded output counts, as bools that broadcast to it; nullopt: everywhere.
std::optional<at::Tensor> mask_of(const std::string& name, const at::Tensor& output,
                                  const Tensors& inputs) {
  if (!is_of_tokens(name)) return {};
  const auto widened = [&](at::Tensor mask, std::int64_t before) {
    for (std::int64_t i = 0; i < before; ++i) mask = mask.unsqueeze(0);
    while (mask.dim() < output.dim()) mask = mask.unsqueeze(-1);
    return mask;
  };
  const auto mask = inputs.find("attention_mask");
  if (mask != inputs.end() && mask->second.dim() == 2) {
    const at::Tensor visible = mask->second.ne(0);
    if (output.dim() >= 2 && output.sizes().slice(0, 2) == visible.sizes()) {
      return widened(visible, 0);
    }
    if (output.dim() == 3 && output.size(0) == 3 && output.sizes().slice(1) == visible.sizes()) {
      return widened(visible, 1);
    }
  }
  const auto labels = inputs.find("labels");  // of a decoder behind an encoder
  if (name == "logits" && labels != inputs.end() && labels->second.dim() == 2 &&
      output.dim() == 3 && output.sizes().slice(0, 2) == labels->second.sizes()) {
    return widened(labels->second.ne(-100), 0);
  }
  return {};
}

struct Tolerance {
  double absolute = 0, relative = 0;  // allowed: absolute + relative * |recorded|
  std::string text;
};

Tolerance tolerance_of(const std::string& name, const at::Tensor& recorded) {
  if (!at::isFloatingType(recorded.scalar_type())) return {0, 0, "exact"};
  if (name.rfind("loss", 0) == 0) return {1e-6, 1e-5, "1e-5 relative + 1e-6"};
  return {1e-4, 0, "1e-4"};
}

double largest(const at::Tensor& t) { return t.numel() == 0 ? 0 : t.max().item<double>(); }

std::string short_form(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", value);
  return text;
}

Comparison compare(const std::string& name, const at::Tensor& ours, const at::Tensor& recorded,
                   const Tolerance& tolerance, const std::optional<at::Tensor>& mask) {
  Comparison line{name, 0, 0, tolerance.text, 0, {}};
  if (ours.sizes() != recorded.sizes()) {
    line.note = "expected shape " + shape_text(recorded) + "; got " + shape_text(ours);
    return line;
  }
  at::Tensor a = ours.detach().to(at::kDouble), b = recorded.to(at::kDouble);
  if (mask) {
    const at::Tensor zero = at::zeros_like(a);
    a = at::where(*mask, a, zero);
    b = at::where(*mask, b, zero);
  }
  const at::Tensor difference = (a - b).abs();
  line.absolute = largest(difference);
  line.relative = largest(difference / b.abs().clamp_min(1e-30));
  const at::Tensor allowed = b.abs() * tolerance.relative + tolerance.absolute;
  if (tolerance.absolute > 0) {
    line.share = largest(difference / allowed);
  } else {
    line.share = line.absolute > 0 ? std::numeric_limits<double>::infinity() : 0;
  }
  if (!difference.isfinite().all().item<bool>()) line.note = "not a number";
  return line;
}

// --- Gradients -------------------------------------------------------------------------------

// `loss`, or the sum of the loss_*: of those that were recorded, as the inputs may give more.
at::Tensor total_loss(const Tensors& outputs, const Tensors& recorded) {
  const auto loss = outputs.find("loss");
  if (loss != outputs.end()) return loss->second;
  const auto is_loss = [](const std::string& name) { return name.rfind("loss_", 0) == 0; };
  bool any = false;
  for (const auto& [name, value] : recorded) any = any || is_loss(name);
  at::Tensor total;
  for (const auto& [name, value] : outputs) {
    if (!is_loss(name) || (any && !recorded.contains(name))) continue;
    total = total.defined() ? total + value : value;
  }
  if (!total.defined()) refuse("grad.* needs a loss, which these inputs do not give");
  return total;
}

// Gradients under the names and in the layout of the file, and under our own names. What import
// does to the weights (other names, q, k and v apart, transposed) is learned from tensors that hold
// their own numbers: entry i of the file's weights becomes the number i, and wherever it ends up,
// that entry's gradient is.
Tensors file_gradients(const LoadedModel& loaded) {
  Tensors numbered;
  std::int64_t entries = 0;
  for (const auto& [name, weight] : loaded.files.weights) {
    numbered[name] =
        at::arange(entries, entries + weight.numel(), at::kDouble).view(weight.sizes());
    entries += weight.numel();
  }
  const Tensors places = loaded.files.family->import_weights(numbered, *loaded.files.settings);
  const at::Tensor all = at::zeros({entries}, at::kFloat);
  for (const auto& [name, parameter] : loaded.model->parameters()) {
    const auto place = places.find(name);
    if (place == places.end() || !parameter.grad().defined()) continue;
    all.index_add_(0, place->second.reshape({-1}).to(at::kLong),
                   parameter.grad().reshape({-1}).to(at::kFloat));
  }
  Tensors gradients;
  for (const auto& [name, parameter] : loaded.model->parameters()) {
    gradients[name] = parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter);
  }
  std::int64_t first = 0;
  for (const auto& [name, weight] : loaded.files.weights) {
    gradients[name] = all.narrow(0, first, weight.numel()).view(weight.sizes());
    first += weight.numel();
  }
  return gradients;
}

void compare_gradients(const LoadedModel& loaded, const Tensors& outputs,
                       const Reference& reference, std::vector<Comparison>& lines) {
  if (reference.gradients.empty()) return;
  torch::autograd::backward({total_loss(outputs, reference.outputs)}, {});
  double of_all = 0;
  const Tensors gradients = file_gradients(loaded);
  for (const auto& [name, recorded] : reference.gradients) {
    if (!gradients.contains(name)) refuse("grad." + name + " is no parameter of this model");
    of_all = std::max(of_all, largest(recorded.to(at::kDouble).abs()));
  }
  for (const auto& [name, recorded] : reference.gradients) {
    const double own = largest(recorded.to(at::kDouble).abs());
    const double allowed = std::max(1e-3 * own + 1e-6 * of_all, 1e-30);
    lines.push_back(compare("grad." + name, gradients.at(name), recorded,
                            {allowed, 0, short_form(allowed)}, {}));
  }
}

Tensors run(models::Model& model, const Tensors& inputs) {
  try {
    return model.reference_outputs(inputs);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // shapes that torch refuses
    refuse(std::string("the inputs do not fit the model: ") + error.what());
  }
}

}  // namespace

bool VerifyReport::equal() const {
  return std::all_of(lines.begin(), lines.end(), [](const Comparison& l) { return l.equal(); });
}

std::string VerifyReport::text() const {
  std::string text;
  std::size_t equal_lines = 0, width = 0;
  const Comparison* worst = nullptr;
  const auto badness = [](const Comparison& line) {
    return line.note.empty() ? line.share : std::numeric_limits<double>::infinity();
  };
  for (const Comparison& line : lines) width = std::max(width, line.name.size());
  for (const Comparison& line : lines) {
    const std::string verdict = line.equal()        ? "ok"
                                : line.note.empty() ? "DIFFERENT"
                                                    : "DIFFERENT: " + line.note;
    text += line.name + std::string(width - line.name.size(), ' ') + "  max abs " +
            short_form(line.absolute) + "  max rel " + short_form(line.relative) + "  tolerance " +
            line.tolerance + "  " + verdict + "\n";
    equal_lines += line.equal() ? 1 : 0;
    if (worst == nullptr || badness(line) > badness(*worst)) worst = &line;
  }
  return text + std::to_string(equal_lines) + " of " + std::to_string(lines.size()) +
         " equal; worst " + (worst == nullptr ? "none" : worst->name) + "\n";
}

VerifyReport verify(const fs::path& directory, const fs::path& reference_path) {
  const Reference reference = read_reference(reference_path);
  const LoadedModel loaded = load(directory, reference);
  const Tensors outputs = run(*loaded.model, reference.inputs);
  VerifyReport report;
  for (const auto& [name, recorded] : reference.outputs) {
    const auto ours = outputs.find(name);
    if (ours == outputs.end()) refuse("output." + name + " is not produced by this build");
    const at::Tensor aligned = loaded.model->reference_aligned(name, outputs, recorded);
    report.lines.push_back(compare("output." + name, aligned, recorded,
                                   tolerance_of(name, recorded),
                                   mask_of(name, recorded, reference.inputs)));
  }
  compare_gradients(loaded, outputs, reference, report.lines);
  return report;
}

}  // namespace tandem::jobs
