#include "tandem/jobs/reply.h"

#include <utility>

#include "tandem/base/error.h"

namespace tandem::jobs {

ReplyOptions reply_options(double temperature, double top_p, std::int64_t top_k, std::int64_t beams,
                           std::int64_t max_tokens, std::uint64_t seed) {
  const bool draws = temperature > 0;
  const auto refuse = [](const std::string& what) {
    throw Error(ErrorKind::config, "[generate] " + what, "tandem generate");
  };
  if (draws && beams > 1) refuse("expected beams or a temperature; got both");
  if (!draws && (top_k > 0 || top_p < 1)) {
    refuse("expected a temperature above 0 with --top-k and --top-p, which are about draws");
  }
  ReplyOptions options;
  options.max_tokens = max_tokens;
  options.generate.beams = beams;
  options.generate.sample = draws;
  options.generate.temperature = draws ? temperature : 1;
  options.generate.top_p = top_p;
  options.generate.top_k = top_k;
  options.generate.key = Key(seed).fold("generate");
  return options;
}

std::string reply(const OpenModel& model, const data::Sample& sample, const std::string& words,
                  const ReplyOptions& options, const at::Device& device) {
  const models::Abilities can = model.model->abilities();
  if (!can.generate || !model.processor.prompt || !model.processor.decode) {
    throw Error(ErrorKind::config,
                "[generate] expected a model that writes texts; got one of the family " +
                    model.family->name + " that does not",
                model.directory.string());
  }
  const bool says = !words.empty() || !sample.turns.empty() || can.captions_only;
  Batch prompt = model.processor.prompt(sample, says ? words : "Describe the picture.");
  prompt.positions = {0};
  models::GenerateOptions generate = options.generate;
  // A captioner's prompt is the beginning of its text, and counts.
  const bool begins = can.captions_only && prompt.text.has_value();
  generate.max_length = options.max_tokens + (begins ? prompt.text->ids.size(1) : 0);
  return model.processor.decode(can.generate(to(prompt, device), generate).at(0));
}

Chat::Chat(const OpenModel& model, ReplyOptions options, at::Device device)
    : model_(model), options_(std::move(options)), device_(device) {
  if (model.model->abilities().captions_only) {
    throw Error(ErrorKind::config,
                "[chat] expected a model that answers; got one that only captions pictures",
                model.directory.string(), "use `tandem generate`");
  }
  clear();
}

void Chat::clear() {
  sample_ = {};
  sample_.id = "chat";
  shown_ = 0;
}

void Chat::show(std::vector<std::uint8_t> encoded) {
  sample_.pictures.push_back({std::move(encoded), {}});
}

std::string Chat::say(const std::string& words) {
  text::Turn turn{"user", {}};
  const auto pictures = static_cast<std::int64_t>(sample_.pictures.size());
  for (std::int64_t i = shown_; i < pictures; ++i) turn.parts.push_back(text::picture_part(i));
  turn.parts.push_back(text::text_part(words));
  data::Sample asked = sample_;
  asked.turns.push_back(std::move(turn));
  ReplyOptions options = options_;
  options.generate.key = options.generate.key.fold(asked.turns.size());
  std::string answer = reply(model_, asked, "", options, device_);
  asked.turns.push_back({"assistant", {text::text_part(answer)}});
  sample_ = std::move(asked);
  shown_ = pictures;
  return answer;
}

}  // namespace tandem::jobs
