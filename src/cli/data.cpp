#include <cstdio>

#include "cli/common.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/webdataset.h"
#include "tandem/data/world/baselines.h"
#include "tandem/text/kinds.h"
#include "tandem/train/experiment.h"

namespace tandem::cli {
namespace {

struct TokenizerArguments {
  std::string kind = text::tokenizer_kinds().front(), out{};
  int vocabulary = 0;
  std::int64_t samples = 1'000'000;
};

int make_tokenizer(const ConfigArguments& config, const TokenizerArguments& arguments) {
  std::vector<std::string> captions;
  for (const auto& [name, source] : train::open_sources(load(config).config)) {
    const auto some = data::captions_of(*source, arguments.samples);
    captions.insert(captions.end(), some.begin(), some.end());
  }
  const text::Tokenizer made =
      text::train_tokenizer(arguments.kind, captions, arguments.vocabulary);
  std::filesystem::create_directories(arguments.out);
  text::save_tokenizer_json(made, std::filesystem::path(arguments.out) / "tokenizer.json");
  log_info(std::to_string(made.vocab_size()) + " tokens from " + std::to_string(captions.size()) +
           " captions in " + arguments.out + "/tokenizer.json");
  return 0;
}

void add_make(CLI::App& data, const Choose& choose) {
  CLI::App* make = data.add_subcommand("make", "make something from data");
  make->require_subcommand(1);
  CLI::App* verb = make->add_subcommand("tokenizer", "train a vocabulary on a config's captions");
  const auto config = add_config_arguments(*verb);
  const auto arguments = std::make_shared<TokenizerArguments>();
  verb->add_option("--kind", arguments->kind, "what it is made like")
      ->check(CLI::IsMember(text::tokenizer_kinds()));
  verb->add_option("--vocabulary", arguments->vocabulary, "tokens, marks included")
      ->required()
      ->check(CLI::Range(2, 10'000'000));
  verb->add_option("--samples", arguments->samples, "of each source, at most")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}));
  verb->add_option("--out", arguments->out, "the folder for tokenizer.json")->required();
  verb->callback([=] { choose([=] { return make_tokenizer(*config, *arguments); }); });
  add_make_list(*make, choose);
  add_make_answers(*make, choose);
}

void add_index(CLI::App& data, const Choose& choose) {
  CLI::App* verb = data.add_subcommand("index", "index webdataset's tar files");
  const auto settings = std::make_shared<data::WebdatasetSettings>();
  verb->add_option("path", settings->path, "shards: a{00..17}.tar")->required();
  verb->add_option("--index", settings->index, "folder for the indices (default: beside them)");
  verb->callback([=] {
    choose([=] {
      for (const data::IndexedShard& shard : data::index_webdataset(*settings)) {
        std::printf("%s: %lld samples%s\n", shard.path.c_str(),
                    static_cast<long long>(shard.samples),
                    shard.index.empty() ? " (no folder for the index can be written)" : "");
      }
      return 0;
    });
  });
}

void print_scores(const char* name, const data::world::RetrievalScores& s) {
  std::printf(
      "{\"reader\": \"%s\", \"image_to_text.r1\": %.4f, \"text_to_image.r1\": %.4f, "
      "\"hard.image_to_text\": %.4f, \"hard.text_to_image\": %.4f}\n",
      name, s.text_at_1, s.picture_at_1, s.hard_text, s.hard_picture);
}

void print_tasks(const data::world::SceneRules& rules) {
  for (const data::world::TaskBaseline& one : data::world::task_baselines(rules)) {
    std::printf(
        "{\"task\": \"%s\", \"kind\": \"%s\", \"samples\": %lld, \"oracle\": %.4f, "
        "\"text_only\": %.4f, \"chance\": %.4f}\n",
        one.task.c_str(), one.kind.c_str(), static_cast<long long>(one.samples), one.oracle,
        one.text_only, one.chance);
  }
}

// What the figures of a model on the world stand between.
void add_baselines(CLI::App& data, const Choose& choose) {
  CLI::App* verb = data.add_subcommand(
      "baselines", "retrieval on the built-in world by an oracle and by a bag of attributes");
  const auto rules = std::make_shared<data::world::SceneRules>();
  verb->add_option("--max-objects", rules->max_objects, "as in the source's settings")
      ->check(CLI::Range(2, data::world::kMaxObjects));
  verb->add_option("--seed", rules->seed, "as in the source's settings");
  const auto tasks = std::make_shared<bool>(false);
  verb->add_flag("--tasks", *tasks,
                 "instead: questions, sentences, hypotheses and expressions, by an oracle and by "
                 "text alone");
  verb->callback([=] {
    choose([=] {
      if (*tasks) {
        print_tasks(*rules);
        return 0;
      }
      const data::world::WorldBaselines baselines = data::world::world_baselines(*rules);
      print_scores("oracle", baselines.oracle);
      print_scores("bag of attributes", baselines.bag_of_attributes);
      return 0;
    });
  });
}

}  // namespace

void add_data(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand("data", "work on data");
  verb->require_subcommand(1);
  add_make(*verb, choose);
  add_index(*verb, choose);
  add_inspect(*verb, choose);
  add_instruct(*verb, choose);
  add_baselines(*verb, choose);
}

}  // namespace tandem::cli
