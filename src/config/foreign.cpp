#include "config/foreign.h"

#include <algorithm>
#include <cctype>

namespace tandem::config {
namespace {

constexpr std::string_view whole_batch = "the batch over all ranks: theirs x ranks x accumulation",
                           accumulation = "samples of a rank at once: batch / ranks / their number",
                           of_a_rank = "samples of a rank at once; data.batch is the whole batch",
                           in_steps = "a number of steps: the ratio x the stage's steps",
                           by_rules = "ordered rules on parameter names",
                           by_lora = "a rule with lora: {rank, alpha, dropout}",
                           by_decay = "a rule with lr_decay", true_is_bf16 = "precision: bf16";

}  // namespace

const std::vector<Foreign>& foreign_names() {
  static const std::vector<Foreign> table{
      // The model.
      {"model_name_or_path", "model.pretrained", ""},
      {"load_pretrained", "model.pretrained", "a directory; without it, from scratch"},
      {"arch", "model.family", ""},
      {"model_type", "model.family", ""},
      {"tokenizer_name", "model.tokenizer", ""},
      {"force_image_size", "model.vision.image_size", ""},
      {"image_size", "model.vision.image_size", ""},
      {"image_resolution", "model.vision.image_size", ""},
      {"force_quick_gelu", "model.vision.activation", "quick_gelu, and in model.text"},
      {"force_context_length", "model.text.context_length", ""},
      {"cutoff_len", "model.text.context_length", "pictures' tokens included"},
      {"max_txt_len", "model.text.context_length", ""},
      {"template", "model.dialogue.chat", "how dialogues are written down"},
      {"train_on_prompt", "", "replies alone are learned; the log shows them in [[ ]]"},
      {"image_max_pixels", "model.dialogue.max_pixels", ""},
      {"image_min_pixels", "model.dialogue.min_pixels", ""},
      {"pref_beta", "model.preference.beta", ""},
      {"pref_loss", "model.preference.kind", "sigmoid, ipo or robust"},
      {"label_smoothing_factor", "model.label_smoothing", "of the systems that have it"},
      {"aug_cfg", "model.augment", "a map"},
      {"image_mean", "model.image.mean", ""},
      {"image_std", "model.image.std", ""},
      {"image_interpolation", "model.image.interpolation", ""},
      // Data.
      {"train_data", "data.sources", "named, each with its format"},
      {"dataset", "data.sources", "named, each with its format"},
      {"dataset_dir", "data.sources", "each states its path"},
      {"dataset_type", "data.sources.NAME.format", ""},
      {"val_data", "data.sources", "a source of its own, named by eval.tasks"},
      {"eval_dataset", "data.sources", "a source of its own, named by eval.tasks"},
      {"csv_img_key", "data.sources.NAME.picture", "of format: table"},
      {"csv_caption_key", "data.sources.NAME.captions", "of format: table"},
      {"csv_separator", "data.sources.NAME.separator", "of format: table"},
      {"val_size", "eval.tasks", "nothing is split off: a source of its own"},
      {"max_samples", "", "a source is used whole; until: {samples: N} ends a stage, size a task"},
      {"packing", "stages.NAME.data.max_tokens", "tokens of a pack"},
      {"neat_packing", "stages.NAME.data.max_tokens", "tokens of a pack"},
      {"train_data_upsampling_factors", "stages.NAME.data.mix", "shares by name"},
      {"interleave_probs", "stages.NAME.data.mix", "shares by name"},
      {"mix_strategy", "stages.NAME.data.mix", "proportional is their concat"},
      {"workers", "loader.threads", ""},
      {"num_workers", "loader.threads", ""},
      {"dataloader_num_workers", "loader.threads", ""},
      {"preprocessing_num_workers", "loader.threads", ""},
      {"dataloader_prefetch_factor", "loader.memory", "bytes"},
      // The batch.
      {"batch_size", "stages.NAME.data.batch", whole_batch},
      {"batch_size_train", "stages.NAME.data.batch", whole_batch},
      {"train_batch_size", "stages.NAME.data.batch", ""},
      {"per_device_train_batch_size", "stages.NAME.data.micro_batch", of_a_rank},
      {"gradient_accumulation_steps", "stages.NAME.data.micro_batch", accumulation},
      {"accum_freq", "stages.NAME.data.micro_batch", accumulation},
      {"accum_grad_iters", "stages.NAME.data.micro_batch", accumulation},
      // The optimiser.
      {"learning_rate", "stages.NAME.optimizer.lr", ""},
      {"init_lr", "stages.NAME.optimizer.lr", ""},
      {"wd", "stages.NAME.optimizer.weight_decay", ""},
      {"beta1", "stages.NAME.optimizer.betas", "a list of two"},
      {"beta2", "stages.NAME.optimizer.betas", "a list of two"},
      {"optim", "stages.NAME.optimizer", "always AdamW"},
      {"adam_beta1", "stages.NAME.optimizer.betas", "a list of two"},
      {"adam_beta2", "stages.NAME.optimizer.betas", "a list of two"},
      {"adam_epsilon", "stages.NAME.optimizer.eps", ""},
      {"warmup", "stages.NAME.optimizer.warmup", ""},
      {"warmup_steps", "stages.NAME.optimizer.warmup", ""},
      {"warmup_ratio", "stages.NAME.optimizer.warmup", in_steps},
      {"lr_scheduler", "stages.NAME.optimizer.schedule", ""},
      {"lr_scheduler_type", "stages.NAME.optimizer.schedule", ""},
      {"lr_sched", "stages.NAME.optimizer.schedule", "linear_warmup_cosine_lr is cosine"},
      {"lr_cooldown_end", "stages.NAME.optimizer.min_lr", ""},
      {"lr_cooldown_power", "stages.NAME.optimizer.power", "of schedule: polynomial"},
      {"lr_decay_rate", "stages.NAME.optimizer.gamma", "of schedule: step"},
      {"grad_clip_norm", "stages.NAME.optimizer.clip", ""},
      {"max_grad_norm", "stages.NAME.optimizer.clip", ""},
      {"local_loss", "stages.NAME.itc.gather", "the global loss is exact; released is theirs"},
      {"gather_with_grad", "stages.NAME.itc.gather", "exact is true; released is false"},
      // What is trained.
      {"lock_image", "stages.NAME.train", by_rules},
      {"lock_text", "stages.NAME.train", by_rules},
      {"freeze_vit", "stages.NAME.train", by_rules},
      {"freeze_vision_tower", "stages.NAME.train", by_rules},
      {"freeze_multi_modal_projector", "stages.NAME.train", by_rules},
      {"freeze_language_model", "stages.NAME.train", by_rules},
      {"finetuning_type", "stages.NAME.train", by_rules},
      {"lora_rank", "stages.NAME.train", by_lora},
      {"lora_alpha", "stages.NAME.train", by_lora},
      {"lora_dropout", "stages.NAME.train", by_lora},
      {"lora_target", "stages.NAME.train", by_lora},
      {"use_rslora", "stages.NAME.train", by_lora},
      {"image_layer_decay", "stages.NAME.train", by_decay},
      {"text_layer_decay", "stages.NAME.train", by_decay},
      // How long.
      {"epochs", "stages.NAME.until.epochs", ""},
      {"max_epoch", "stages.NAME.until.epochs", ""},
      {"num_train_epochs", "stages.NAME.until.epochs", ""},
      {"max_steps", "stages.NAME.until.steps", ""},
      {"train_num_samples", "stages.NAME.until.samples", ""},
      // The machine.
      {"bf16", "precision", true_is_bf16},
      {"pure_bf16", "precision", true_is_bf16},
      {"fp16", "precision", "fp32 or bf16; fp16 there is none"},
      {"amp", "precision", true_is_bf16},
      {"grad_checkpointing", "recompute", ""},
      {"gradient_checkpointing", "recompute", ""},
      {"use_grad_checkpoint", "recompute", ""},
      {"full_determinism", "deterministic", ""},
      {"use_cpu", "device", "cpu"},
      {"data_seed", "seed", "one seed for all"},
      // What is kept, measured and told.
      {"save_strategy", "checkpoint.every", "0 is no"},
      {"save_steps", "checkpoint.every", ""},
      {"save_frequency", "checkpoint.every", "steps, not epochs"},
      {"save_total_limit", "checkpoint.keep.last", ""},
      {"delete_previous_checkpoint", "checkpoint.keep.last", "1"},
      {"metric_for_best_model", "checkpoint.keep.best", ""},
      {"load_best_model_at_end", "checkpoint.keep.best",
       "a metric; `tandem export --best` takes it"},
      {"greater_is_better", "checkpoint.keep.mode", "max or min"},
      {"early_stopping_patience", "stages.NAME.stop.patience", ""},
      {"early_stopping_threshold", "stages.NAME.stop.min_delta", ""},
      {"eval_strategy", "eval.every", "0 is no"},
      {"eval_steps", "eval.every", ""},
      {"val_frequency", "eval.every", "steps, not epochs"},
      {"zeroshot_frequency", "eval.every", "steps, not epochs"},
      {"per_device_eval_batch_size", "eval.batch", ""},
      {"batch_size_eval", "eval.batch", ""},
      {"imagenet_val", "eval.tasks", "{task: zero_shot, source: NAME, classes_file: FILE}"},
      {"report_to", "report.tensorboard", "true or false"},
      {"plot_loss", "report", "`tandem report RUN` draws it"},
      {"run_name", "name", ""},
      {"output_dir", "", "--out DIR on the command line says it"},
      {"logs", "", "--out DIR on the command line says it"},
      {"resume", "", "the same command goes on by itself; --resume PATH chooses a checkpoint"},
      {"resume_from_checkpoint", "",
       "the same command goes on by itself; --resume PATH chooses a checkpoint"},
      {"resume_ckpt_path", "",
       "the same command goes on by itself; --resume PATH chooses a checkpoint"},
      {"logging_steps", "", "every step is written to metrics.jsonl"},
      {"log_every_n_steps", "", "every step is written to metrics.jsonl"},
  };
  return table;
}

std::string folded(std::string_view name) {
  while (name.starts_with('-')) name.remove_prefix(1);
  std::string text(name);
  for (char& c : text) {
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

const Foreign* foreign(std::string_view name) {
  if (name.size() > 64) return nullptr;
  const std::string wanted = folded(name);
  const auto& table = foreign_names();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Foreign& one) { return one.name == wanted; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace tandem::config
