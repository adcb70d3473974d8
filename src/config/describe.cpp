#include "config/describe.h"

#include <algorithm>

#include "tandem/base/error.h"

namespace tandem::config {
namespace {

// The settings that a model has before any key of the YAML: the family's, or those of the directory
// that it starts from.
std::unique_ptr<Settings> plain_model(const ModelConfig& model, const Tables& tables) {
  if (!model.settings) return nullptr;
  try {
    if (!model.pretrained.empty() && tables.pretrained) {
      return tables.pretrained(model.family, model.pretrained);
    }
  } catch (const Error&) {
    return nullptr;  // told where the model is read
  }
  return tables.families.make ? tables.families.make(model.family) : nullptr;
}

void describe_model(FieldVisitor& v, ModelConfig& model, const Tables& tables) {
  v.field("pretrained", model.pretrained,
          {.doc = "a Hugging Face directory to start from; empty: from scratch",
           .path = true,
           .must_exist = true,
           .aliases = {"checkpoint", "weights", "model_name_or_path"}});
  // Its config.json says what the YAML does not.
  SettingsTable families = tables.families;
  if (!model.pretrained.empty() && tables.pretrained) {
    families.make = [&](std::string_view name) -> std::unique_ptr<Settings> {
      try {
        return tables.pretrained(name, model.pretrained);
      } catch (const Error& error) {
        v.problem("pretrained", error.what());
        return tables.families.make(name);
      }
    };
  }
  v.kind("family", model.family, families, model.settings,
         {.doc = "the system; its own keys stand beside this one",
          .required = true,
          .aliases = {"architecture", "arch", "model_type"}});
  v.field("tokenizer", model.tokenizer,
          {.doc = "a tokenizer.json or its directory; empty: that of `pretrained`, or trained to "
                  "`vocabulary`",
           .path = true,
           .must_exist = true,
           .aliases = {"tokenizer_path", "tokenizer_name"}});
  v.field("vocabulary", model.vocabulary,
          {.doc = "size of a vocabulary trained on the captions of all sources",
           .min = 2,
           .max = 1e7,
           .unset = 0,
           .aliases = {"vocab_size"}});
  if (model.vocabulary > 0 && !model.tokenizer.empty()) {
    v.problem("vocabulary", "expected either a tokenizer or a vocabulary to train; got both");
  }
}

void describe_sources(FieldVisitor& v, std::vector<SourceConfig>& sources, const Tables& tables) {
  std::vector<std::string> names;
  names.reserve(sources.size());
  for (const SourceConfig& source : sources) names.push_back(source.name);
  const auto item = [&](const std::string& name, FieldVisitor& inner) {
    auto source = std::find_if(sources.begin(), sources.end(),
                               [&](const SourceConfig& s) { return s.name == name; });
    if (source == sources.end()) {
      sources.push_back({.name = name});
      source = sources.end() - 1;
    }
    if (!plain_name(name)) {
      inner.problem("", "expected a name of letters, digits, `_` and `-`");
    }
    if (name == temperature_word) {
      inner.problem("", "expected another name: this one is a word of `mix`");
    }
    inner.kind("format", source->format, tables.formats, source->settings,
               {.doc = "how the samples are stored; its own keys stand beside this one",
                .required = true,
                .aliases = {"type", "dataset_type"}});
  };
  v.map("sources", names, {.doc = "samples by name", .required = true, .aliases = {"datasets"}},
        item);
}

bool writes_plainly(const EvalTask& task) {
  const EvalTask plain;
  return task.beams == plain.beams && !task.sample && task.top_p == plain.top_p &&
         task.max_length == plain.max_length && task.min_length == plain.min_length &&
         task.prompt.empty() && task.answers.empty() && task.answer_list.empty() &&
         task.candidates == plain.candidates;
}

bool is_plain(const EvalTask& task) {
  const EvalTask plain;
  return task.source.empty() && task.size == plain.size && task.captions == plain.captions &&
         task.rerank == plain.rerank && task.rerank_score == plain.rerank_score &&
         task.classes.empty() && task.templates.empty() && task.classes_file.empty() &&
         task.templates_file.empty() && task.stages.empty() && writes_plainly(task);
}

// How a model writes captions and answers.
void describe_writing(FieldVisitor& v, EvalTask& task) {
  v.field("beams", task.beams,
          {.doc = "caption, vqa: texts that are followed at once; 1: the likeliest word each time",
           .min = 1,
           .max = 1024,
           .unset = 3,
           .aliases = {"num_beams"}});
  v.field("sample", task.sample, {.doc = "caption, vqa: words are drawn instead", .unset = 0});
  v.field("top_p", task.top_p,
          {.doc = "of a draw: among the likeliest words that make up this share",
           .min = 0,
           .max = 1,
           .above_min = true,
           .unset = 0.9});
  v.field("max_length", task.max_length,
          {.doc = "caption, vqa: most tokens, a caption's prompt included; 0: 20 of a caption, 10 "
                  "of an answer",
           .min = 0,
           .max = 1e6,
           .unset = 0,
           .aliases = {"max_new_tokens"}});
  v.field("min_length", task.min_length,
          {.doc = "and fewest; -1: 5 of a caption, 1 of an answer",
           .min = -1,
           .max = 1e6,
           .unset = -1});
  v.field("prompt", task.prompt,
          {.doc = "caption: words that each begins with; vqa: a text with {} for the question; "
                  "empty: the family's own",
           .unset = 0});
  v.field("answers", task.answers,
          {.doc = "vqa: one of a closed list by the model's classes, the best of a list by their "
                  "probability, or free text; empty: the first of them that the model can",
           .choices = {"", "closed", "ranked", "generated"},
           .unset = 0});
  v.field("answer_list", task.answer_list,
          {.doc = "vqa, ranked: a JSON list or a line each; without it, the source's list",
           .unset = 0,
           .path = true,
           .must_exist = true});
  v.field("candidates", task.candidates,
          {.doc = "vqa, ranked: so many are weighed as a whole, chosen by their first token",
           .min = 1,
           .unset = 128});
}

// What single tasks have.
void describe_task(FieldVisitor& v, EvalTask& task) {
  v.field(
      "captions", task.captions,
      {.doc = "retrieval: of a picture, the first ones (5 in COCO's protocol); 0: all", .min = 0});
  v.field("rerank", task.rerank,
          {.doc = "retrieval: the first so many by cosine are ranked anew by how well picture and "
                  "text match (hard: all of a group); 0: none are. A model that cannot embed ranks "
                  "every pair so",
           .min = 0,
           .aliases = {"k_test"}});
  v.field("rerank_score", task.rerank_score,
          {.doc = "what they are ranked by: the score of the match, or its sum with the cosine",
           .choices = {"match", "match+cosine"}});
  v.field("classes", task.classes,
          {.doc = "zero_shot: names; a sample's class is its label, or the name that its text is",
           .aliases = {"classnames"}});
  v.field(
      "classes_file", task.classes_file,
      {.doc = "zero_shot: more names, one a line", .unset = 0, .path = true, .must_exist = true});
  v.field("templates", task.templates,
          {.doc = "zero_shot: texts with {} for the name; without any, `a photo of a {}.`",
           .aliases = {"prompts"}});
  v.field(
      "templates_file", task.templates_file,
      {.doc = "zero_shot: more of them, one a line", .unset = 0, .path = true, .must_exist = true});
  describe_writing(v, task);
  v.field("stages", task.stages,
          {.doc = "in which it is measured; empty: in those whose model can do it", .unset = 0});
}

void describe_tasks(FieldVisitor& v, EvalConfig& eval, const Tables& tables,
                    const std::vector<std::string>& sources) {
  const Rule task_rule = {.doc = "what is measured; a task alone may stand for its map",
                          .required = true,
                          .choices = tables.tasks};
  const auto item = [&](std::size_t i, FieldVisitor& inner) {
    EvalTask& task = eval.tasks[i];
    if (inner.is_scalar(is_plain(task))) {
      inner.self(task.task, task_rule);
      return;
    }
    inner.field("task", task.task, task_rule);
    inner.field("source", task.source, {.doc = "of data.sources; empty: the first", .unset = 0});
    inner.field("size", task.size,
                {.doc = "samples of it, from the start", .min = 1, .unit = Unit::samples});
    describe_task(inner, task);
    if (!task.source.empty()) check_source_name(inner, "source", task.source, sources);
  };
  v.list(
      "tasks", eval.tasks.size(), {.doc = "measurements"},
      [&](std::size_t n) { eval.tasks.assign(n, {}); }, item);
}

void describe_eval(FieldVisitor& v, EvalConfig& eval, const Tables& tables,
                   const std::vector<std::string>& sources) {
  v.field("every", eval.every,
          {.doc = "how often; 0: only at the end of a stage",
           .min = 0,
           .unit = Unit::steps,
           .aliases = {"eval_steps", "val_frequency", "eval_every"}});
  v.field("batch", eval.batch,
          {.doc = "samples at once",
           .min = 1,
           .aliases = {"batch_size", "per_device_eval_batch_size"}});
  describe_tasks(v, eval, tables, sources);
}

void describe_checkpoint(FieldVisitor& v, CheckpointConfig& checkpoint) {
  v.field("every", checkpoint.every,
          {.doc = "how often; 0: only at the end and when stopped",
           .min = 0,
           .unit = Unit::steps,
           .aliases = {"save_steps", "save_frequency", "save_every"}});
  const Rule last = {.doc = "the newest ones that stay",
                     .min = 1,
                     .max = 1e6,
                     .aliases = {"save_total_limit", "keep_last"}};
  if (!v.number("keep", checkpoint.keep, checkpoint.best.empty(), last)) {
    v.block("keep", {.doc = "which ones stay: a number alone is `last`"}, [&](FieldVisitor& inner) {
      inner.field("last", checkpoint.keep, last);
      inner.field("best", checkpoint.best,
                  {.doc = "a metric of the evaluations (`eval.retrieval.mean`): the best one stays "
                          "too; it is saved when it is measured",
                   .unset = 0,
                   .aliases = {"metric_for_best_model", "save_best"}});
      inner.field("mode", checkpoint.mode,
                  {.doc = "of `best`; auto: min for losses, else max",
                   .choices = {"auto", "max", "min"},
                   .aliases = {"greater_is_better"}});
    });
  }
  v.field("stages", checkpoint.stages,
          {.doc = "the end of every stage stays, too, for `init: RUN@STAGE` of another run",
           .unset = 0});
  v.field(
      "async", checkpoint.async,
      {.doc = "written in the background: the training waits for a copy, and a save for the one "
              "before; one that failed ends the run at the next step",
       .unset = 0,
       .aliases = {"async_save"}});
}

void describe_loader(FieldVisitor& v, LoaderConfig& loader) {
  v.field("threads", loader.threads,
          {.doc = "that read, decode and augment, of one rank",
           .min = 1,
           .max = 1024,
           .aliases = {"workers", "num_workers", "dataloader_num_workers"}});
  v.field("memory", loader.memory,
          {.doc = "of samples that wait, at most",
           .min = 1 << 20,
           .unit = Unit::bytes,
           .aliases = {"prefetch", "prefetch_factor"}});
}

void describe_stages(FieldVisitor& v, std::vector<StageConfig>& stages,
                     const std::vector<std::string>& sources,
                     const std::function<std::unique_ptr<Settings>()>& make_model) {
  const auto item = [&](std::size_t i, FieldVisitor& inner) {
    StageSurroundings around{
        .sources = sources, .earlier = {}, .codes = {}, .make_model = make_model};
    for (std::size_t k = 0; k < i; ++k) {
      around.earlier.push_back(stages[k].name);
      if (stages[k].kind != "job") continue;
      (stages[k].job.task == "codes" ? around.codes : around.sources).push_back(stages[k].name);
    }
    describe(inner, stages[i], around);
    const auto same = [&](const StageConfig& other) { return other.name == stages[i].name; };
    if (!stages[i].name.empty() &&
        std::any_of(stages.begin(), stages.begin() + static_cast<std::ptrdiff_t>(i), same)) {
      inner.problem("name", "another stage has this name");
    }
    if (stages[i].kind == "job" &&
        std::find(sources.begin(), sources.end(), stages[i].name) != sources.end()) {
      inner.problem("name", "a source has this name, which the job's result gets");
    }
  };
  v.list(
      "stages", stages.size(), {.doc = "run in this order", .required = true},
      [&](std::size_t n) { stages.assign(n, {}); }, item);
}

void describe_report(FieldVisitor& v, ReportConfig& report) {
  v.field("csv", report.csv, {.doc = "metrics.csv beside metrics.jsonl"});
  v.field("tensorboard", report.tensorboard,
          {.doc = "TensorBoard's event files in the run's folder", .aliases = {"report_to"}});
  v.field("samples", report.samples,
          {.doc = "predictions of an evaluation that are kept with their pictures",
           .min = 0,
           .max = 1000});
}

void describe_machine(FieldVisitor& v, RunConfig& config) {
  v.field("precision", config.precision,
          {.doc = "of activations and gradients; weights stay fp32",
           .choices = {"fp32", "bf16"},
           .aliases = {"dtype", "amp", "mixed_precision"}});
  v.field("device", config.device,
          {.doc = "auto: cuda where there is one", .choices = {"auto", "cpu", "cuda"}});
  v.field("threads", config.threads,
          {.doc = "of a rank's kernels; 0: cores / local ranks",
           .min = 0,
           .max = 4096,
           .aliases = {"num_threads", "omp_num_threads"}});
  v.field(
      "recompute", config.recompute,
      {.doc = "computes the blocks' activations again in backward, to save memory",
       .aliases = {"gradient_checkpointing", "grad_checkpointing", "activation_checkpointing"}});
  v.field("deterministic", config.deterministic,
          {.doc = "the same bits in each run on a GPU, at some cost"});
}

}  // namespace

const Rule& ema_rule() {
  static const Rule rule = {.doc =
                                "an exponential moving average of the trained weights, anew with "
                                "each stage; evaluated, and exported by `tandem export --ema`",
                            .unset = 0,
                            .aliases = {"model_ema", "ema_decay", "use_ema"}};
  return rule;
}

void describe(FieldVisitor& v, EmaConfig& ema) {
  v.field("decay", ema.decay,
          {.doc = "average = decay x average + (1 - decay) x weights, after each step; 0: off",
           .required = true,
           .min = 0,
           .max = 1,
           .aliases = {"ema_decay", "model_ema_decay"}});
  v.field("warmup", ema.warmup, {.doc = "min(decay, (1 + n) / (10 + n)) at update n"});
  v.field("evaluate", ema.evaluate,
          {.doc = "what the evaluations measure; the average's metrics begin with `ema.`",
           .choices = {"both", "ema", "weights"}});
}

void describe(FieldVisitor& v, RunConfig& config, const Tables& tables) {
  bool own_ema = config.ema.decay > 0;
  v.field("name", config.name,
          {.doc = "of the run, and of its folder; without it, that of the config's file",
           .aliases = {"run_name", "experiment", "experiment_name"}});
  if (!folder_name(config.name)) {
    v.problem("name", "expected letters, digits, `_`, `-` and `.`, not first; at most 100");
  }
  v.field("seed", config.seed, {.doc = "of every draw", .min = 0, .aliases = {"random_seed"}});
  v.block("model", {.doc = "what is trained", .required = true},
          [&](FieldVisitor& inner) { describe_model(inner, config.model, tables); });
  v.block("data", {.doc = "where samples come from", .required = true},
          [&](FieldVisitor& inner) { describe_sources(inner, config.sources, tables); });
  v.block("loader", {.doc = "how samples are read ahead", .aliases = {"dataloader"}},
          [&](FieldVisitor& inner) { describe_loader(inner, config.loader); });
  std::vector<std::string> sources;
  for (const SourceConfig& source : config.sources) sources.push_back(source.name);
  describe_stages(v, config.stages, sources, [&] { return plain_model(config.model, tables); });
  describe_machine(v, config);
  v.optional_block("ema", own_ema, ema_rule(),
                   [&](FieldVisitor& inner) { describe(inner, config.ema); });
  v.block("checkpoint", {.doc = "when the run is saved", .aliases = {"checkpoints", "save"}},
          [&](FieldVisitor& inner) { describe_checkpoint(inner, config.checkpoint); });
  v.block("eval", {.doc = "what is measured on the way", .aliases = {"evaluation", "validation"}},
          [&](FieldVisitor& inner) { describe_eval(inner, config.eval, tables, sources); });
  v.block("report", {.doc = "what a run leaves to look at", .aliases = {"logging", "log"}},
          [&](FieldVisitor& inner) { describe_report(inner, config.report); });
  check_metrics(v, config);
}

}  // namespace tandem::config
