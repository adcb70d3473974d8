#include "tandem/jobs/instruct.h"

#include <cstdio>
#include <filesystem>
#include <sstream>

#include "cli/inputs.h"
#include "cli/ranks.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/jobs/instruct_model.h"

namespace tandem::cli {
namespace {

struct InstructArguments {
  std::string out{}, model{}, device = "auto";
  bool world = false;
  jobs::WeightChoice weights{};
  double temperature = 0;
  std::int64_t max_tokens = 1024;
  std::uint64_t seed = 0;
  jobs::InstructJob job{};
};

const data::Source& instruct_source(const jobs::InstructJob& job, const std::string& name) {
  for (const auto& [own, source] : job.inputs) {
    if (own == name) return *source;
  }
  throw Error(ErrorKind::internal, "[instruct] no source " + name);
}

void print_counts(const jobs::InstructJob& job, const jobs::InstructCounts& counts) {
  std::printf("requests: %lld, without a dialogue: %lld\n", static_cast<long long>(counts.requests),
              static_cast<long long>(counts.unanswered));
  if (counts.without_captions > 0 || !counts.bad_samples.empty()) {
    std::printf("samples without captions: %lld, that cannot be read: %zu\n",
                static_cast<long long>(counts.without_captions), counts.bad_samples.size());
  }
  if (counts.without_boxes > 0) {
    std::printf("samples without boxes: %lld\n", static_cast<long long>(counts.without_boxes));
  }
  if (counts.asked_again > 0) {
    std::printf("asked again: %lld\n", static_cast<long long>(counts.asked_again));
  }
  std::printf("lines of answers: %lld, read before: %lld\n", static_cast<long long>(counts.read),
              static_cast<long long>(counts.read_before));
  for (const auto& [kind, number] : counts.kept) {
    std::printf("kept, %s: %lld\n", kind.c_str(), static_cast<long long>(number));
  }
  for (const auto& [why, number] : counts.dropped) {
    std::printf("dropped, %s: %lld\n", why.c_str(), static_cast<long long>(number));
  }
  std::printf(
      "%s, pictures: %s\n", (job.folder / "data.json").c_str(),
      counts.wrote_pictures ? (job.folder / "pictures").c_str() : "the source's own folder");
}

std::string named_model(const jobs::OpenModel& model, const InstructArguments& arguments) {
  std::ostringstream text;
  text << std::filesystem::weakly_canonical(model.directory).string() << ", temperature "
       << arguments.temperature << ", at most " << arguments.max_tokens << " tokens";
  return text.str();
}

int instruct(const InputArguments& inputs, const InstructArguments& arguments) {
  jobs::InstructJob job = arguments.job;
  job.folder = arguments.out;
  job.inputs = open_inputs(inputs);
  const auto work = [&] {
    print_counts(job, jobs::make_instructions(job));
    return 0;
  };
  if (arguments.world) {
    // Exact as they are: a short one is right, and so is one that fits two pictures.
    job.limits.least_detail = job.limits.least_reasoning = 1;
    job.limits.keep_same = true;
    job.answered_by = "the world";
    job.answer = [&](const jobs::InstructRequest& request) {
      return jobs::world_answer(instruct_source(job, request.source), request);
    };
    return work();
  }
  if (arguments.model.empty()) return work();
  const jobs::ReplyOptions options =
      jobs::reply_options(arguments.temperature, 1, 0, 1, arguments.max_tokens, arguments.seed);
  return work_as_rank(arguments.device, [&](const Place& place) {
    const jobs::OpenModel model = jobs::open_model(arguments.model, arguments.weights);
    model.model->to(place.device);
    job.answered_by = named_model(model, arguments);
    job.answer = [&](const jobs::InstructRequest& request) {
      return jobs::told_by(model, request, options, place.device);
    };
    return work();
  });
}

void add_instruct_limits(CLI::App& verb, jobs::InstructLimits& limits) {
  const auto count = CLI::Range(std::int64_t{1}, std::int64_t{1} << 30);
  verb.add_option("--max-words", limits.most_words, "of an answer (default: 500)")->check(count);
  verb.add_option("--max-turns", limits.most_turns, "questions of a conversation (default: 20)")
      ->check(count);
  verb.add_option("--min-words", limits.least_detail, "of a description (default: 8)")
      ->check(count);
  verb.add_flag("--keep-same", limits.keep_same, "keep answers that say the same as another one");
}

void add_instruct_requests(CLI::App& verb, jobs::InstructJob& job) {
  verb.add_option("--kinds", job.kinds, "some of conversation, detail, reasoning (default: all)")
      ->delimiter(',')
      ->check(CLI::IsMember(
          {jobs::instruct_conversation, jobs::instruct_detail, jobs::instruct_reasoning}));
  verb.add_option("--samples", job.samples, "of each source, its first ones (default: all)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40));
  verb.add_option("--shots", job.shots, "examples before a request, at most (default: 3)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{3}));
  verb.add_option("--part", job.part, "samples of a file of requests (default: 1024)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30));
  verb.add_option("--batch-model", job.batch_model,
                  "requests as lines of OpenAI's batch API, for this model");
  verb.add_flag("--copy", job.copy, "copy pictures that are files, too");
}

}  // namespace

void add_instruct(CLI::App& data, const Choose& choose) {
  CLI::App* verb = data.add_subcommand(
      "instruct", "dialogues about pictures, written by a language model from captions and boxes");
  const auto inputs = add_input_arguments(*verb);
  const auto arguments = std::make_shared<InstructArguments>();
  InstructArguments& a = *arguments;
  verb->add_option("--out", a.out, "the folder of requests, answers and data.json")->required();
  add_instruct_requests(*verb, a.job);
  add_instruct_limits(*verb, a.job.limits);
  auto* world = verb->add_flag("--world", a.world, "the built-in world answers, exactly");
  verb->add_option("--model", a.model, "a run, a checkpoint or a Hugging Face directory answers")
      ->excludes(world);
  verb->add_flag(
      "--again", a.job.again,
      "ask once more where no dialogue came of an answer (with a temperature: other draws)");
  verb->add_option("--temperature", a.temperature, "of --model: as in `tandem generate`")
      ->check(CLI::Range(0.0, 100.0));
  verb->add_option("--max-tokens", a.max_tokens, "of an answer of --model (default: 1024)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  verb->add_option("--seed", a.seed, "of the model's draws, of requests for descriptions");
  verb->add_option("--device", a.device, "auto, cpu, cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  add_weight_choice(*verb, a.weights);
  verb->callback([=] {
    choose([=] {
      arguments->job.seed = arguments->seed;
      return instruct(*inputs, *arguments);
    });
  });
}

}  // namespace tandem::cli
