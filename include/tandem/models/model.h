#pragma once
// What the trainer, the evaluations and the command line know of a model. A family's modules are
// private to its folder.

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/base/fields.h"
#include "tandem/base/random.h"
#include "tandem/data/sample.h"
#include "tandem/dist/mesh.h"
#include "tandem/models/generate.h"
#include "tandem/objectives/loss_term.h"
#include "tandem/tensor/batch.h"
#include "tandem/tensor/safetensors.h"
#include "tandem/text/tokenizer.h"

namespace torch::nn {
class Module;
}

namespace tandem::objectives {
struct ItcSolution;
}

namespace tandem::models {

using tandem::NamedTensors;  // in the module's order

// Features of a contrastive loss, collected in the first of two passes (DESIGN 3, decision 4).
struct Features {
  at::Tensor image, text;  // [B, D], L2-normalised
};

struct LossRequest {
  std::map<std::string, double> weights{};  // by name: itc, itm, ...
  std::int64_t itc_chunk = 0;               // objectives::ItcOptions::chunk
  bool itc_released = false;                // objectives::ItcOptions::released
};

// What one pass of one micro-batch may know of the step around it.
struct StepContext {
  std::int64_t step = 0;         // of the stage
  std::int64_t micro_batch = 0;  // of this rank
  Key key{0};                    // of this micro-batch: dropout, masks, negatives fold from it
  const dist::Mesh* mesh = nullptr;
  bool recompute = false;  // recompute blocks in backward (run_block)
  // fp32 [] on the model's device: not 0 where a step's loss or gradient was not finite, so that it
  // changed no parameter. In after_step of the step itself, before of the one before it (whose
  // momentum copies still wait for a change). Undefined: it was well, or there was none.
  at::Tensor broken{};
  // Pass two of a contrastive loss: solved features of the whole step and where this micro-batch's
  // rows start in them. Null in a step with one micro-batch: the loss is computed in one pass.
  const objectives::ItcSolution* contrast = nullptr;
  std::int64_t contrast_first = 0;
};

// For each question the candidates that are likeliest as its answer, best first.
struct Ranked {
  at::Tensor index;  // int64 [B, k]: rows of the candidates
  at::Tensor score;  // float [B, k]: log-probabilities, as the family's paper counts them
};

// What a model makes of two answers behind one prompt; log p of an answer is the sum over its
// tokens, its end mark included.
struct Preferred {
  at::Tensor chosen, rejected;  // [B] fp32: log p
  // The same of the frozen model that it is compared with; undefined: it holds none.
  at::Tensor reference_chosen{}, reference_rejected{};
  // Sums over the chosen answer's tokens of KL(model || reference) given the tokens before each,
  // over the whole vocabulary: [B] fp32. Undefined without a reference.
  at::Tensor divergence{};
  at::Tensor tokens{};  // [B] int64: of the chosen answer
  double beta = 0;      // of the implicit reward, beta (log p - log p of the reference)
};

// What a model can do beyond its losses; an empty function = cannot. Inputs are on the model's
// device.
struct Abilities {
  std::function<at::Tensor(const Images&)> embed_image{};  // -> [N, D], L2-normalised
  std::function<at::Tensor(const Tokens&)> embed_text{};   // -> [N, D], L2-normalised
  std::function<at::Tensor(const Batch&)> match{};         // -> [B], probability of a match
  // -> [B], what retrieval ranks pairs by: the logit of a match (index 1); empty: `match`.
  std::function<at::Tensor(const Batch&)> match_score{};
  std::function<at::Tensor(const Batch&)> classify{};  // -> [B, C], logits of answers or labels
  std::function<at::Tensor(const Batch&)> locate{};    // -> [B, h, w], where each text looks
  // What the model writes behind each prompt (Processor::prompt, collated with its padding): ids
  // of each row, the end mark included where one came.
  std::function<std::vector<std::vector<std::int64_t>>(const Batch& prompts,
                                                       const GenerateOptions&)>
      generate{};
  bool captions_only = false;  // generate tells of pictures, and answers no questions
  // Of candidates (Processor::answer, collated), the k likeliest for each prompt: k by their first
  // token, ordered by the whole answer.
  std::function<Ranked(const Batch& prompts, const Tokens& candidates, std::int64_t k)> rank{};
  std::function<Preferred(const Batch&)> prefer{};  // of Batch::text and Batch::rejected
};

class Model {
 public:
  virtual ~Model() = default;

  // Every parameter under the name it has in the file of weights; a tied weight once.
  virtual NamedTensors parameters() const = 0;
  virtual NamedTensors buffers() const { return {}; }
  // The module that holds them; null: adapters cannot be attached (models/adapters.h).
  virtual torch::nn::Module* module() const { return nullptr; }
  virtual void to(const at::Device& device) = 0;
  virtual void train(bool on) = 0;

  // Names of the losses this model has.
  virtual std::vector<std::string> losses_known() const = 0;
  // Counts of the losses for a batch, on the host and before anything runs, so that the loop can
  // divide by the global count without waiting for the device.
  virtual std::map<std::string, double> counts(const Batch& batch, const LossRequest&) const = 0;
  virtual LossTerms losses(const Batch& batch, const LossRequest& request, const StepContext&) = 0;
  // What the losses give to one who guesses, by name; those that have such a level. batch: samples
  // of a step over all ranks.
  virtual std::map<std::string, ChanceLevel> chance_levels(std::int64_t /*batch*/) const {
    return {};
  }
  // First pass of a contrastive loss, called without gradient; empty tensors: no such loss.
  virtual Features features(const Batch&, const LossRequest&, const StepContext&) { return {}; }
  // Between the passes: the loss and the gradients of the features of all micro-batches of this
  // rank (rows in the order of the micro-batches) on the global matrix. Null: no such loss.
  virtual std::shared_ptr<const objectives::ItcSolution> solve(const Features&, const LossRequest&,
                                                               const StepContext&) {
    return nullptr;
  }
  // After the optimiser: clamped temperatures, momentum copies, queues.
  virtual void after_step(const StepContext&) {}

  virtual Abilities abilities() = 0;

  // For `tandem verify`: recorded inputs by their names, outputs by theirs (loss: differentiable).
  // Throws Error(config) naming an input that is missing or unknown.
  virtual std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>& inputs) = 0;
  // The output of that name, its rows moved to where the recorded ones stand, for an original that
  // draws the order of its rows.
  virtual at::Tensor reference_aligned(const std::string& name,
                                       const std::map<std::string, at::Tensor>& outputs,
                                       const at::Tensor& /*recorded*/) {
    return outputs.at(name);
  }
};

// How training and evaluation turn a sample into tensors; the family's own.
struct Processor {
  // key: of this sample at this position; `train` chooses augmentation or the evaluation transform.
  std::function<Batch(const data::Sample&, Key key, bool train)> prepare{};
  std::int64_t pad_id = 0;
  // Only the evaluation transform of a picture and of a text (galleries, queries).
  std::function<Images(const data::Picture&)> image{};
  std::function<Tokens(const std::string&)> text{};
  // Where the model goes on writing: a sample's pictures and, as `text`, the words before
  // (`words`: a caption's beginning, a question; empty: the family's own). A Batch of one without
  // labels; in a batch, texts are padded on the side that the model wants.
  std::function<Batch(const data::Sample&, const std::string& words)> prompt{};
  Padding prompt_padding = Padding::right;
  // A candidate for `rank`: its ids with the marks that the model learned.
  std::function<Tokens(const std::string&)> answer{};
  // Texts of other pictures that the losses need beside a sample (Sample::others); whoever reads it
  // for them draws these (data/others.h).
  std::int64_t others = 0;
  // Losses that samples laid end to end (tensor/pack.h) give as each alone does; empty: none.
  std::vector<std::string> packed_losses{};
  // How many tokens `prepare` makes of a sample, pictures' included, from the headers of its
  // pictures. Throws Error(data) for what does not fit together. Empty: nobody knows before.
  std::function<std::int64_t(const data::Sample&)> length{};
  // The words of ids that were generated, without marks.
  std::function<std::string(const std::vector<std::int64_t>&)> decode{};
};

// Tensors whose rows are things that another stage may have more, fewer or others of, by the ends
// of their names (word_rows.h).
struct RowTables {
  std::vector<std::string> words{};   // a row for each token of the vocabulary
  std::vector<std::string> places{};  // one for each place in a text
};

// One of the eleven systems: a record of functions, one line in src/models/families.cpp.
struct Family {
  std::string name{};
  std::vector<std::string> architectures{};  // of config.json
  std::string vocabulary = "clip";  // the kind that `model.vocabulary` trains (text/kinds.h)
  std::function<std::unique_ptr<Settings>()> settings{};
  // Reads a Hugging Face config.json (its text) into settings.
  std::function<std::unique_ptr<Settings>(const std::string& config_json)> from_config_json{};
  std::function<std::string(const Settings&)> to_config_json{};
  // (name, text) of what the original's processor reads beside the weights:
  // preprocessor_config.json.
  std::function<std::vector<std::pair<std::string, std::string>>(const Settings&)>
      processor_files{};
  // The same read back: one such file's text into the settings. Empty: nothing is read.
  std::function<void(Settings&, const std::string& json)> read_processor_file{};
  // Initialised from the key as the original does.
  std::function<std::unique_ptr<Model>(const Settings&, Key init)> make{};
  std::function<Processor(const Settings&, std::shared_ptr<const text::Tokenizer>)> processor{};
  // Sets what follows from the vocabulary (size, ids of marks) where the config left it open.
  std::function<void(Settings&, const text::Tokenizer&)> fit_vocabulary{};
  RowTables rows{};  // what follows the vocabulary when a stage begins with other weights
  // Sets how many answers or classes a head tells apart, and their names, from the closed list of
  // the data (data::Source::answers). Empty: no head has answers.
  std::function<void(Settings&, const std::vector<std::string>& answers)> fit_answers{};
  // Sets what only the weights' names say (which heads a file holds) where config.json does not.
  // Empty: config.json says everything.
  std::function<void(Settings&, const std::map<std::string, at::Tensor>&)> fit_weights{};
  // Foreign names to ours (OpenAI's for CLIP): renames, splits, transposes; identity when the
  // tensors already have the Hugging Face names. Position tables are resized to `settings`.
  std::function<std::map<std::string, at::Tensor>(std::map<std::string, at::Tensor>,
                                                  const Settings&)>
      import_weights{};
};

const std::vector<Family>& families();
// Throws Error(config) with the nearest name.
const Family& family(std::string_view name);
const Family* family_of_architecture(std::string_view architecture);

}  // namespace tandem::models
