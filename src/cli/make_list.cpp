#include "cli/inputs.h"
#include "cli/verbs.h"
#include "tandem/base/log.h"
#include "tandem/data/pretrain_list.h"
#include "tandem/text/pretrain_recipe.h"

namespace tandem::cli {
namespace {

int make_list(const InputArguments& inputs, data::PretrainListJob job) {
  job.inputs = open_inputs(inputs);
  const auto& requests = text::llava_pretrain.requests;
  job.requests.assign(requests.begin(), requests.end());
  const data::PretrainList made = data::write_pretrain_list(job);
  const data::Balance& balance = made.balance;
  log_info(std::to_string(balance.phrases) + " phrases: " + std::to_string(balance.rare) +
           " in fewer than " + std::to_string(job.rules.least) + " captions, " +
           std::to_string(balance.frequent) + " in more than " + std::to_string(job.rules.most));
  log_info(std::to_string(made.written) + " of " + std::to_string(made.samples) + " captions in " +
           (job.folder / "data.json").string() + "; " + std::to_string(made.bad) +
           " samples cannot be read or show no picture; names of pictures start from " +
           (made.wrote_pictures ? (job.folder / "pictures").string()
                                : std::string("the source's own folder")));
  return 0;
}

}  // namespace

void add_make_list(CLI::App& make, const Choose& choose) {
  CLI::App* verb = make.add_subcommand(
      std::string(text::llava_pretrain.name),
      "captions in which every concept comes up, none too often, as dialogues of one turn");
  const auto inputs = add_input_arguments(*verb);
  const auto job = std::make_shared<data::PretrainListJob>();
  const auto out = std::make_shared<std::string>();
  verb->add_option("--out", *out, "the folder for data.json")->required();
  verb->add_option("--least", job->rules.least,
                   "phrases in fewer captions do not count (default: 3)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  verb->add_option("--most", job->rules.most,
                   "of a phrase, so many of its captions are taken (default: 100)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  verb->add_option("--seed", job->rules.seed, "of the draws");
  verb->add_flag("--copy", job->copy, "copy pictures that are files, too");
  verb->callback([=] {
    choose([=] {
      data::PretrainListJob own = *job;
      own.folder = *out;
      return make_list(*inputs, std::move(own));
    });
  });
}

}  // namespace tandem::cli
