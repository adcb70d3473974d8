#include "tandem/jobs/instruct_model.h"

#include <vector>

namespace tandem::jobs {

InstructAnswer told_by(const OpenModel& model, const InstructRequest& request, ReplyOptions options,
                       const at::Device& device) {
  data::Sample sample;
  sample.id = request.id;
  for (const InstructMessage& one : request.messages) {
    sample.turns.push_back({one.role, {text::text_part(one.content)}});
  }
  Key& key = options.generate.key;
  key = key.fold(request.id);
  if (request.attempt > 0) key = key.fold(static_cast<std::uint64_t>(request.attempt));
  std::vector<std::int64_t> ids = replies(model, {{sample, ""}}, 1, options, device).at(0);
  const std::string words = model.processor.decode(ids);
  if (ids.empty() || static_cast<std::int64_t>(ids.size()) < options.max_tokens) return words;
  ids.pop_back();  // an end mark has no words
  return {words, model.processor.decode(ids) != words};
}

}  // namespace tandem::jobs
