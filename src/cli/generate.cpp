#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/ranks.h"
#include "cli/verbs.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/jobs/reply.h"

namespace tandem::cli {
namespace {

struct GenerateArguments {
  std::string model{}, prompt{}, prompts{}, device = "auto";
  jobs::WeightChoice weights{};
  std::vector<std::string> images{};
  std::vector<std::string> stops{};
  double temperature = 0, top_p = 1, repetition_penalty = 1;
  std::int64_t top_k = 0, beams = 1, max_tokens = 128, batch = 8;
  std::uint64_t seed = 0;
};

constexpr std::int64_t largest_picture = std::int64_t{1} << 28;

std::vector<std::uint8_t> picture_of(const std::string& path) {
  const std::string bytes = read_file(path, largest_picture);
  return {bytes.begin(), bytes.end()};
}

jobs::ReplyOptions options_of(const GenerateArguments& a) {
  jobs::ReplyOptions options =
      jobs::reply_options(a.temperature, a.top_p, a.top_k, a.beams, a.max_tokens, a.seed);
  options.generate.repetition_penalty = a.repetition_penalty;
  options.stops = a.stops;
  return options;
}

// A line of JSON for each prompt of a list.
void generate_all(const GenerateArguments& arguments, const jobs::OpenModel& model,
                  const jobs::ReplyOptions& options, const Place& place) {
  const std::vector<jobs::AskedFor> asked = jobs::read_prompts(arguments.prompts);
  for (const auto& ids : jobs::replies(model, asked, arguments.batch, options, place.device)) {
    const nlohmann::ordered_json row = {{"text", model.processor.decode(ids)}, {"ids", ids}};
    std::printf("%s\n", row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
}

int generate(const GenerateArguments& arguments, const Place& place) {
  const jobs::ReplyOptions options = options_of(arguments);
  const jobs::OpenModel model = jobs::open_model(arguments.model, arguments.weights);
  model.model->to(place.device);
  if (!arguments.prompts.empty()) {
    generate_all(arguments, model, options, place);
    return 0;
  }
  data::Sample sample;
  sample.id = arguments.images.empty() ? "the prompt" : arguments.images[0];
  for (const std::string& path : arguments.images) {
    sample.pictures.push_back({picture_of(path), {}});
  }
  const std::string text = jobs::reply(model, sample, arguments.prompt, options, place.device);
  std::printf("%s\n", text.c_str());
  return 0;
}

int chat(const GenerateArguments& arguments, const Place& place) {
  const jobs::ReplyOptions options = options_of(arguments);
  const jobs::OpenModel model = jobs::open_model(arguments.model, arguments.weights);
  model.model->to(place.device);
  jobs::Chat chat(model, options, place.device);
  for (const std::string& path : arguments.images) chat.show(picture_of(path));
  for (std::string line; std::getline(std::cin, line);) {
    try {
      if (line == "/clear") {
        chat.clear();
      } else if (line.starts_with("/image ")) {
        chat.show(picture_of(line.substr(7)));
      } else if (!line.empty()) {
        std::printf("%s\n", chat.say(line).c_str());
        std::fflush(stdout);
      }
    } catch (const Error& error) {  // the dialogue is as it was; the next line may do
      std::fprintf(stderr, "tandem: %s\n", error.what());
    }
  }
  return 0;
}

void add_options(CLI::App& verb, GenerateArguments& a) {
  verb.add_option("MODEL", a.model, "a run, a checkpoint or a Hugging Face directory")->required();
  verb.add_option("--image", a.images, "a picture's file; several stand in their order");
  verb.add_option("--temperature", a.temperature,
                  "0: the likeliest token each time; above: drawn, the more evenly the higher")
      ->check(CLI::Range(0.0, 100.0));
  verb.add_option("--top-p", a.top_p, "draw among the likeliest that make up this share")
      ->check(CLI::Range(1e-9, 1.0));
  verb.add_option("--top-k", a.top_k, "draw among so many of the likeliest; 0: all")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 30));
  verb.add_option("--beams", a.beams, "texts that are followed at once")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 10));
  verb.add_option("--repetition-penalty", a.repetition_penalty,
                  "above 1: tokens that are there already, the prompt's too, become less likely")
      ->check(CLI::Range(1e-3, 1e3));
  verb.add_option("--stop", a.stops,
                  "a token of the vocabulary before which a reply ends, beside the model's own end "
                  "marks; may stand several times")
      ->allow_extra_args(false);
  verb.add_option("--max-tokens", a.max_tokens, "of a reply")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  verb.add_option("--seed", a.seed, "of the draws: the same seed, the same text");
  verb.add_option("--device", a.device, "auto, cpu, cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  add_weight_choice(verb, a.weights);
}

}  // namespace

void add_generate(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand("generate", "what a model writes to a prompt and pictures");
  const auto arguments = std::make_shared<GenerateArguments>();
  add_options(*verb, *arguments);
  verb->add_option("--prompt", arguments->prompt, "what is asked (default: the family's own)");
  verb->add_option("--prompts", arguments->prompts,
                   "a file of lines {\"prompt\": ..., \"images\": [FILE, ...]}; each is answered "
                   "by a line {\"text\": ..., \"ids\": [...]}")
      ->excludes("--prompt")
      ->excludes("--image");
  verb->add_option("--batch", arguments->batch, "prompts of --prompts at once")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 16));
  verb->callback([=] {
    choose([=] {
      return work_as_rank(arguments->device,
                          [=](const Place& place) { return generate(*arguments, place); });
    });
  });
}

void add_chat(CLI::App& app, const Choose& choose) {
  CLI::App* verb = app.add_subcommand(
      "chat", "answer lines of stdin; /image FILE shows a picture, /clear begins anew");
  const auto arguments = std::make_shared<GenerateArguments>();
  add_options(*verb, *arguments);
  verb->callback([=] {
    choose([=] {
      return work_as_rank(arguments->device,
                          [=](const Place& place) { return chat(*arguments, place); });
    });
  });
}

}  // namespace tandem::cli
