#pragma once
// Instruction data from captions and boxes (Liu et al. 2023, section 3): a language model that sees
// no picture writes conversations, detailed descriptions and complex reasoning about it.
//
// All lies in one folder, in files that are written at once:
//   settings.json          what the data is made from, how, and who answers; another start agrees
//   requests/NNNNNN.jsonl  {"id", "messages": [{"role", "content"}]}: what the model is asked, one
//                          a sample and kind, as chat APIs take it
//   left_out/NNNNNN.json   of the same samples: how many have no captions, how many no boxes, and
//                          which cannot be read, with the reason
//   asked/NNNNNN.txt       the ids of that file; written after both: the part is there
//   answers/*.jsonl        what was answered, {"id", "text"} a line, from whoever answers: {"id",
//                          "error"} and the lines of OpenAI's batch API ({"custom_id", "response":
//                          {"body": {"choices": [{"message": {"content"}}]}}}) are read too. More
//                          files, and more lines at the end of one, may come at any time
//   read/NNNNNN.jsonl      what was made of each line of them
//   data.json              the dialogues that were kept, in the order of the sources, as LLaVA's
//                          lists; `format: dialogue` reads it
//   dropped.jsonl          {"where", "id", "why", "text"} of every other line
//   pictures/              those that are no files of their own
// Every start does what is still to be done: requests that are written are not written again, lines
// that are read are not read again (where they are others by now, a warning says so). Killed at any
// time and started again, a job ends with the same requests, data.json and dropped.jsonl.
//
// An answer is dropped when it is no answer of ours, or the second one of a request; when it was
// cut off ("cut_off": true, or a batch API's finish_reason "length"); when it is not in the form
// that was asked for; speaks of captions, descriptions that were given, boxes or coordinates;
// refuses; is too short or too long; holds a tag of a picture; asks the same twice; or says the
// same as another answer of its kind. An id that was dropped may be answered anew.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/data/source.h"

namespace tandem::jobs {

// Their names in ids, in their order.
inline constexpr const char* instruct_conversation = "conversation";
inline constexpr const char* instruct_detail = "detail";
inline constexpr const char* instruct_reasoning = "reasoning";

struct InstructMessage {
  std::string role{}, content{};
  friend bool operator==(const InstructMessage&, const InstructMessage&) = default;
};

struct InstructRequest {
  std::string id{}, kind{};
  std::string source{};  // its name
  std::int64_t index = 0;
  std::vector<InstructMessage> messages{};
  std::int64_t attempt = 0;  // 0: the first time; another draw each time
};

struct InstructAnswer {
  std::string text{};
  bool cut_off = false;  // whoever answered was stopped before the end

  // A text that is whole is an answer.
  // NOLINTNEXTLINE(google-explicit-constructor)
  InstructAnswer(std::string words, bool cut = false) : text(std::move(words)), cut_off(cut) {}
};

struct InstructLimits {
  std::int64_t most_words = 500;     // of an answer, a question or a description
  std::int64_t least_detail = 8;     // words of a description
  std::int64_t least_reasoning = 4;  // words of an answer of reasoning
  std::int64_t most_turns = 20;      // questions of a conversation
  bool keep_same = false;            // answers that say the same as another one
};

struct InstructJob {
  std::vector<std::pair<std::string, std::shared_ptr<const data::Source>>> inputs{};
  std::filesystem::path folder{};
  std::vector<std::string> kinds{instruct_conversation, instruct_detail, instruct_reasoning};
  std::int64_t samples = 0;   // of each source, its first ones; 0: all
  std::int64_t shots = 3;     // examples before a request, at most
  std::int64_t part = 1024;   // samples of a file of requests
  std::uint64_t seed = 0;     // of requests for descriptions and places of <image>
  bool copy = false;          // pictures that are files, too
  std::string batch_model{};  // requests as OpenAI's batch API takes them, of this model
  InstructLimits limits{};
  // An Error(data) is one request's. Empty: answers come as files.
  std::function<InstructAnswer(const InstructRequest&)> answer{};
  std::string answered_by{};  // who `answer` is: a folder has the answers of one; empty: not known
  bool again = false;         // what was answered without giving a dialogue is asked once more
  std::int64_t answer_part = 64;  // requests of a file of answers
  // Called before each file is written; it may throw to end the job. Empty: nothing.
  std::function<void()> between{};
};

struct InstructCounts {
  std::int64_t requests = 0;
  std::int64_t without_captions = 0;       // samples; so are the next two
  std::int64_t without_boxes = 0;          // asked about all the same; 0 for conversations alone
  std::vector<std::string> bad_samples{};  // "SOURCE, sample INDEX (WHERE): why"
  std::int64_t read_before = 0, read = 0;  // lines of answers
  std::map<std::string, std::int64_t> kept{};     // dialogues, by kind
  std::map<std::string, std::int64_t> dropped{};  // lines, by reason
  std::int64_t unanswered = 0;                    // requests without a dialogue
  std::int64_t asked_again = 0;                   // requests
  std::vector<std::string> changed{};  // files of answers whose lines are others than were read
  bool wrote_pictures = false;
};

// Throws Error(config) for another start's settings or another one who answers, an unknown kind, no
// source, or a source whose texts have verdicts (data::has_verdict); Error(data) where no sample
// has a caption.
InstructCounts make_instructions(const InstructJob& job);

// What a scene of the built-in world answers, exactly. Throws Error(config) for another source.
std::string world_answer(const data::Source& source, const InstructRequest& request);

}  // namespace tandem::jobs
