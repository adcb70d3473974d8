#include <algorithm>

#include "config/describe.h"

namespace tandem::config {
namespace {

using Weighted = std::vector<std::pair<std::string, double>>;

double& weight_of(Weighted& list, const std::string& name) {
  for (auto& [known, weight] : list) {
    if (known == name) return weight;
  }
  return list.emplace_back(name, 0).second;
}

std::vector<std::string> names_of(const Weighted& list) {
  std::vector<std::string> names;
  for (const auto& entry : list) names.push_back(entry.first);
  return names;
}

void describe_lora(FieldVisitor& v, LoraConfig& lora) {
  v.field("rank", lora.rank,
          {.doc = "of B A",
           .required = true,
           .min = 1,
           .max = 65536,
           .unset = 0,
           .aliases = {"r", "lora_r", "lora_rank"}});
  v.field("alpha", lora.alpha,
          {.doc = "W + alpha / rank x B A; without it, the rank",
           .min = 0,
           .above_min = true,
           .unset = 0,
           .aliases = {"lora_alpha"}});
  v.field("dropout", lora.dropout,
          {.doc = "of the adapter's input", .min = 0, .max = 0.99, .aliases = {"lora_dropout"}});
  v.field("rank_stabilized", lora.rank_stabilized,
          {.doc = "alpha / sqrt(rank) instead (rsLoRA)", .aliases = {"use_rslora", "rslora"}});
}

void describe_rule(FieldVisitor& v, TrainRule& rule) {
  const bool only_match = rule == TrainRule{.match = rule.match};
  const Rule match = {
      .doc =
          "a glob over the full dotted name (`*` crosses dots), or /a regular expression/; a "
          "pattern alone may stand for its map",
      .required = true,
      .aliases = {"pattern", "name", "params"}};
  if (v.is_scalar(only_match)) {
    v.self(rule.match, match);
  } else {
    v.field("match", rule.match, match);
    v.field("freeze", rule.freeze, {.doc = "what matches is not trained"});
    v.field("lr", rule.lr,
            {.doc = "instead of the optimizer's",
             .min = 0,
             .above_min = true,
             .unset = 0,
             .aliases = {"learning_rate"}});
    v.field("lr_scale", rule.lr_scale,
            {.doc = "times `lr`, or the optimizer's",
             .min = 0,
             .above_min = true,
             .aliases = {"lr_mult", "lr_multiplier"}});
    v.field("weight_decay", rule.weight_decay,
            {.doc = "instead of the optimizer's", .min = 0, .unset = -1, .aliases = {"wd"}});
    v.field("lr_decay", rule.lr_decay,
            {.doc = "times lr for each block deeper, embeddings deepest (BEiT's layer decay)",
             .min = 0,
             .max = 1,
             .above_min = true,
             .unset = 1,
             .aliases = {"layer_decay", "llrd"}});
    bool lora = rule.lora.rank > 0;
    v.optional_block("lora", lora,
                     {.doc = "low-rank adapters on the Linear layers that match, which stay as "
                             "they are; the pattern may match a layer's name",
                      .unset = 0},
                     [&](FieldVisitor& inner) { describe_lora(inner, rule.lora); });
  }
  check_rule(v, rule);
}

void describe_train(FieldVisitor& v, std::vector<TrainRule>& rules) {
  const TrainRule all;
  std::string word;
  if (rules.empty()) word = "none";
  if (rules.size() == 1 && rules[0] == all) word = "all";
  const Rule rule = {.doc =
                         "ordered rules on parameter names: the first that matches decides, "
                         "what none matches is frozen",
                     .aliases = {"trainable", "train_modules"}};
  if (v.word("train", word,
             {.doc = "a list of patterns", .choices = {"all", "none"}, .aliases = rule.aliases})) {
    rules.assign(word == "none" ? 0 : 1, all);
    return;
  }
  v.list(
      "train", rules.size(), rule, [&](std::size_t n) { rules.assign(n, {}); },
      [&](std::size_t i, FieldVisitor& inner) { describe_rule(inner, rules[i]); });
}

void describe_losses(FieldVisitor& v, Weighted& losses) {
  v.map("losses", names_of(losses),
        {.doc = "weights of the losses, by name",
         .required = true,
         .aliases = {"loss", "objectives"}},
        [&](const std::string& name, FieldVisitor& inner) {
          inner.self(weight_of(losses, name), {.doc = "its weight", .min = 0, .above_min = true});
        });
}

void describe_mix(FieldVisitor& v, StageData& data, const StageSurroundings& around) {
  std::string word = data.proportional ? "proportional" : "";
  if (v.word("mix", word, {.doc = "a map of sources to shares", .choices = {"proportional"}})) {
    data.proportional = word == "proportional";
    data.mix.clear();
    data.temperature = 0;
    return;
  }
  std::vector<std::string> names = names_of(data.mix);
  if (data.temperature > 0) names.push_back(temperature_word);
  if (names.empty()) data.proportional = false;
  v.map("mix", names,
        {.doc = "shares of the sources, by name; without it, the only source. With `temperature: "
                "T` among them they are multiplied by size^(1/T) (1: by size, larger: more even); "
                "alone, it mixes all sources",
         .aliases = {"weights", "mixture", "sources"}},
        [&](const std::string& name, FieldVisitor& inner) {
          if (name == temperature_word) {
            inner.self(data.temperature, {.doc = "of the mix", .min = 0, .above_min = true});
            return;
          }
          inner.self(weight_of(data.mix, name), {.doc = "its share", .min = 0, .above_min = true});
          check_source_name(inner, "", name, around.sources);
        });
}

void describe_data(FieldVisitor& v, StageData& data, const StageSurroundings& around) {
  describe_mix(v, data, around);
  v.field("batch", data.batch,
          {.doc = "samples of a step, over all ranks",
           .min = 1,
           .unit = Unit::samples,
           .aliases = {"batch_size", "global_batch_size", "train_batch_size"}});
  v.field("micro_batch", data.micro_batch,
          {.doc = "samples of one rank at once; without it, batch / ranks",
           .min = 1,
           .unit = Unit::samples,
           .unset = 0,
           .aliases = {"micro_batch_size", "per_device_train_batch_size", "per_device_batch_size",
                       "accum_freq", "gradient_accumulation_steps"}});
  v.field(
      "max_tokens", data.max_tokens,
      {.doc = "instead of micro_batch: a rank's samples are laid end to end in packs of at most "
              "so many tokens, pictures' included, and each pack is a micro-batch; a sample "
              "that is longer is bad. For losses of the next word",
       .min = 16,
       .max = 1 << 24,
       .unset = 0,
       .aliases = {"token_budget", "max_packed_tokens", "pack_tokens", "packing"}});
  v.field("group", data.group,
          {.doc = "samples in a row that are what the papers call the batch on a GPU: in-batch "
                  "negatives and the like stay among them, whatever the number of ranks; without "
                  "it, the micro-batch",
           .min = 1,
           .unit = Unit::samples,
           .unset = 0});
  v.field("block", data.block,
          {.doc = "samples that stay together when shuffled", .min = 1, .unit = Unit::samples});
  check_data(v, data, around);
}

void describe_schedule(FieldVisitor& v, OptimizerConfig& o) {
  v.field("warmup", o.warmup,
          {.doc = "linear, from 0 to lr",
           .min = 0,
           .unit = Unit::steps,
           .aliases = {"warmup_steps", "num_warmup_steps"}});
  v.field("schedule", o.schedule,
          {.doc = "after the warm-up",
           .choices = {"cosine", "linear", "constant", "step", "polynomial"},
           .aliases = {"lr_scheduler", "lr_scheduler_type", "scheduler"}});
  v.field(
      "min_lr", o.min_lr,
      {.doc = "where the schedule ends", .min = 0, .aliases = {"end_lr", "final_lr", "eta_min"}});
  v.field("milestones", o.milestones,
          {.doc = "`schedule: step`: steps of the stage at which lr is multiplied by gamma",
           .min = 1,
           .unset = 0,
           .aliases = {"lr_steps", "decay_steps"}});
  v.field("step_size", o.step_size,
          {.doc = "`schedule: step`: the same every so many steps of the stage",
           .min = 1,
           .unit = Unit::steps,
           .unset = 0});
  v.field("gamma", o.gamma,
          {.doc = "`schedule: step`",
           .min = 0,
           .max = 1,
           .unset = 0.1,
           .aliases = {"lr_decay_rate", "decay_rate"}});
  v.field("power", o.power,
          {.doc = "`schedule: polynomial`",
           .min = 0,
           .above_min = true,
           .unset = 1,
           .aliases = {"lr_power"}});
}

void describe_optimizer(FieldVisitor& v, OptimizerConfig& o) {
  v.field("lr", o.lr, {.doc = "peak learning rate", .min = 0, .aliases = {"learning_rate"}});
  v.field("betas", o.betas,
          {.doc = "AdamW's two", .min = 0, .max = 1, .aliases = {"adam_betas", "beta1", "beta2"}});
  v.field("eps", o.eps,
          {.doc = "AdamW's", .min = 0, .above_min = true, .aliases = {"epsilon", "adam_epsilon"}});
  v.field("weight_decay", o.weight_decay,
          {.doc = "of tensors with at least 2 dimensions", .min = 0, .aliases = {"wd"}});
  describe_schedule(v, o);
  v.field("clip", o.clip,
          {.doc = "the gradient's norm, at most; 0: off",
           .min = 0,
           .aliases = {"grad_clip", "max_grad_norm", "grad_clip_norm", "clip_grad"}});
  check_optimizer(v, o);
}

void describe_until(FieldVisitor& v, Until& until) {
  v.field("steps", until.steps,
          {.doc = "optimizer steps",
           .min = 1,
           .unit = Unit::steps,
           .unset = 0,
           .aliases = {"max_steps", "train_steps"}});
  v.field("epochs", until.epochs,
          {.doc = "passes over the data; only with one source or `mix: proportional`",
           .min = 1,
           .unit = Unit::epochs,
           .unset = 0,
           .aliases = {"num_epochs", "max_epochs", "num_train_epochs"}});
  v.field("samples", until.samples,
          {.doc = "samples over all ranks",
           .min = 1,
           .unit = Unit::samples,
           .unset = 0,
           .aliases = {"max_samples", "train_num_samples"}});
  check_until(v, until);
}

void describe_stop(FieldVisitor& v, StopConfig& stop) {
  v.field("metric", stop.metric,
          {.doc = "of an evaluation, as in metrics.jsonl: eval.retrieval.mean, eval.loss.total",
           .required = true,
           .unset = 0,
           .aliases = {"monitor", "metric_for_best_model"}});
  v.field("patience", stop.patience,
          {.doc = "evaluations in a row without an improvement",
           .min = 1,
           .aliases = {"early_stopping_patience"}});
  v.field("mode", stop.mode,
          {.doc = "what is better; auto: min for losses, else max",
           .choices = {"auto", "max", "min"},
           .aliases = {"greater_is_better"}});
  v.field("min_delta", stop.min_delta,
          {.doc = "an improvement is more than this",
           .min = 0,
           .aliases = {"early_stopping_threshold"}});
}

void describe_itc(FieldVisitor& v, ItcConfig& itc) {
  v.field("gather", itc.gather,
          {.doc = "exact: the gradient of one big batch; released: that of the system's own code",
           .choices = {"exact", "released"}});
  v.field("chunk", itc.chunk,
          {.doc = "rows of the similarity matrix held at once; 0: all", .min = 0});
}

void describe_cache(FieldVisitor& v, CacheConfig& cache) {
  const bool plain = cache.features && cache.folder.empty() && cache.pictures == 0 &&
                     cache.type == CacheConfig().type;
  std::string word = plain ? "features" : "";
  const std::vector<std::string> names{"keep_features", "feature_cache", "cache_features"};
  if (v.word("cache", word,
             {.doc = "a map of how they are kept", .choices = {"features"}, .aliases = names})) {
    cache.features = word == "features";
    return;
  }
  v.optional_block(
      "cache", cache.features,
      {.doc = "what the frozen tower gives of a picture is kept on disk: later epochs, stages and "
              "runs read it and do not run the tower",
       .unset = 0,
       .aliases = names},
      [&](FieldVisitor& inner) {
        inner.field("folder", cache.folder,
                    {.doc = "of the files, one a tower; without it, `features` in the run's folder",
                     .unset = 0,
                     .path = true});
        inner.field("pictures", cache.pictures,
                    {.doc = "that there is room for; without it, as many as there are "
                            "samples in the sources of all such stages",
                     .min = 1,
                     .max = 1e12,
                     .unset = 0});
        inner.field(
            "type", cache.type,
            {.doc = "fp32: the bits that the tower gave; bf16: half the room, each number off "
                    "by at most 2^-8 of itself",
             .choices = {"fp32", "bf16"}});
      });
}

void describe_start(FieldVisitor& v, StageConfig& stage, const StageSurroundings& around) {
  Rule init = {.doc =
                   "where its weights come from: scratch, an earlier stage's name, RUN@STAGE, a "
                   "run, a checkpoint or a Hugging Face directory; empty: the stage before, or "
                   "`model.pretrained`",
               .unset = 0,
               .path = true,
               .aliases = {"init_from", "resume_from", "load_from"}};
  init.choices = around.earlier;  // words that stand in place of a path
  init.choices.emplace_back("scratch");
  v.field("init", stage.init, init);
  v.optional_block(
      "model", stage.own_model,
      {.doc = "the model's own keys that are others in this stage than the run's; what "
              "is new begins as `model` says, what is gone is left out",
       .unset = 0},
      [&](FieldVisitor& inner) {
        if (!stage.own_model) return;
        if (!stage.settings && around.make_model) stage.settings = around.make_model();
        if (stage.settings) stage.settings->fields(inner);
      });
  if (!stage.own_model) stage.settings = nullptr;
}

}  // namespace

void describe(FieldVisitor& v, StageConfig& stage, const StageSurroundings& around) {
  v.field("name", stage.name, {.doc = "letters, digits, `_` and `-`", .required = true});
  if (!stage.name.empty() && !plain_name(stage.name)) {
    v.problem("name", "expected letters, digits, `_` and `-`");
  }
  v.field("kind", stage.kind, {.doc = "what the stage does", .choices = {"train", "job"}});
  describe_start(v, stage, around);
  bool works = !stage.job.task.empty() || stage.kind == "job";
  v.optional_block("job", works, {.doc = "what a stage of `kind: job` does to data", .unset = 0},
                   [&](FieldVisitor& inner) { describe_job(inner, stage.job, around); });
  if (works != (stage.kind == "job")) v.problem("job", "expected it with `kind: job` alone");
  if (stage.kind == "job") {
    stage.train.clear();
    return;
  }
  Rule codes = {
      .doc =
          "visual codes that it begins with: an earlier stage of `job: {task: codes}`, or "
          "a codes.safetensors that such a stage wrote; empty: those of its weights",
      .unset = 0,
      .path = true,
      .must_exist = true,
      .aliases = {"codebook"}};
  codes.choices = around.codes;  // words that stand in place of a path
  v.field("codes", stage.codes, codes);
  describe_train(v, stage.train);
  describe_losses(v, stage.losses);
  v.block("data", {.doc = "its samples"},
          [&](FieldVisitor& inner) { describe_data(inner, stage.data, around); });
  v.block("optimizer", {.doc = "AdamW and its schedule", .aliases = {"optim", "optimiser"}},
          [&](FieldVisitor& inner) { describe_optimizer(inner, stage.optimizer); });
  v.block("until", {.doc = "its end: exactly one of them", .required = true},
          [&](FieldVisitor& inner) { describe_until(inner, stage.until); });
  v.block("itc", {.doc = "the contrastive loss"},
          [&](FieldVisitor& inner) { describe_itc(inner, stage.itc); });
  describe_cache(v, stage.cache);
  v.optional_block("ema", stage.own_ema, ema_rule(),
                   [&](FieldVisitor& inner) { describe(inner, stage.ema); });
  bool stops = !stage.stop.metric.empty();
  v.optional_block(
      "stop", stops,
      {.doc = "early stopping", .unset = 0, .aliases = {"early_stopping", "early_stop"}},
      [&](FieldVisitor& inner) { describe_stop(inner, stage.stop); });
  check_epochs(v, stage, around);
}

}  // namespace tandem::config
