// The built-in world in a language model's place, see instruct.h.

#include "tandem/base/error.h"
#include "tandem/base/random.h"
#include "tandem/data/world/instructing.h"
#include "tandem/data/world/source.h"
#include "tandem/jobs/instruct.h"

namespace tandem::jobs {
namespace {

std::string in_form(const data::world::ExactAnswer& one) {
  return "Question:\n" + one.question + "\n===\nAnswer:\n" + one.answer;
}

}  // namespace

std::string world_answer(const data::Source& source, const InstructRequest& request) {
  const auto scene = data::world::scene_of(source, request.index);
  if (!scene || scene->objects.empty()) {
    throw Error(ErrorKind::config,
                "[instruct] expected captions of the built-in world, which knows its scenes; got "
                "another source",
                request.source, "{format: world}");
  }
  const Key key = Key(0).fold("world answer").fold(request.id);
  if (request.kind == instruct_detail) return data::world::exact_description(*scene, key);
  if (request.kind == instruct_reasoning) return in_form(data::world::exact_reasoning(*scene, key));
  std::string text;
  for (const data::world::ExactAnswer& one : data::world::exact_conversation(*scene, key)) {
    text += (text.empty() ? "" : "\n===\n") + in_form(one);
  }
  return text;
}

}  // namespace tandem::jobs
