#pragma once
// A model that is open here answers the requests of instruct.h.

#include "tandem/jobs/instruct.h"
#include "tandem/jobs/reply.h"

namespace tandem::jobs {

// The messages are turns of a dialogue, written as the model's own are: the task as the system's,
// then the examples and the sample. Draws follow from the options' key, the request's id and its
// attempt, so that no answer depends on what was asked before. Cut off: options.max_tokens without
// an end mark. Throws as reply() does.
InstructAnswer told_by(const OpenModel& model, const InstructRequest& request, ReplyOptions options,
                       const at::Device& device);

}  // namespace tandem::jobs
