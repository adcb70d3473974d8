#pragma once
// The answers of a job of instruct.h, line by line: judged once, kept or dropped.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/jobs/instruct.h"

namespace tandem::jobs {

// SOURCE-INDEX-KIND. Throws Error(data) for another text.
struct InstructId {
  std::string source{}, kind{};
  std::int64_t index = 0;
};
InstructId parsed_id(const std::string& id);

// ids: of all requests, in their order. Reads the lines of JOB/answers that were not read before,
// then writes data.json and dropped.jsonl; gives the ids without a dialogue. A last line without
// its end that is no JSON is left for another time.
std::vector<std::string> read_answers(const InstructJob& job, const std::vector<std::string>& ids,
                                      InstructCounts& counts);

}  // namespace tandem::jobs
