#include <nlohmann/json.hpp>

#include "cli/verbs.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/data/vqa.h"

namespace tandem::cli {
namespace {

struct AnswersArguments {
  std::vector<std::string> annotations{};
  std::string out{};
  std::int64_t least = 9;
};

int make_answers(const AnswersArguments& arguments) {
  const std::vector<std::string> answers =
      data::main_answers(arguments.annotations, arguments.least);
  const std::filesystem::path out = arguments.out;
  if (out.has_parent_path()) make_directories(out.parent_path());
  replace_file(out, nlohmann::json(answers).dump(0) + "\n");
  log_info(std::to_string(answers.size()) + " answers of at least " +
           std::to_string(arguments.least) + " questions in " + arguments.out);
  return 0;
}

}  // namespace

void add_make_answers(CLI::App& make, const Choose& choose) {
  CLI::App* verb = make.add_subcommand(
      "answers", "the closed list of VQA: the main answers of many questions, as JSON");
  const auto arguments = std::make_shared<AnswersArguments>();
  verb->add_option("ANNOTATIONS", arguments->annotations,
                   "v2_mscoco_train2014_annotations.json, and that of val2014")
      ->required();
  verb->add_option("--out", arguments->out, "the file, for `answer_list`")->required();
  verb->add_option("--least", arguments->least, "questions of an answer (default: 9)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  verb->callback([=] { choose([=] { return make_answers(*arguments); }); });
}

}  // namespace tandem::cli
