#pragma once
// What a model writes: to one prompt with pictures (`tandem generate`), and turn by turn
// (`tandem chat`).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/jobs/open_model.h"

namespace tandem::jobs {

struct ReplyOptions {
  // temperature 0: the likeliest token each time, else drawn. max_length is set from max_tokens.
  models::GenerateOptions generate{};
  std::int64_t max_tokens = 128;  // of the reply
  // Tokens, as the vocabulary writes them, before which a reply ends, beside the family's own end
  // marks. What the model would write behind them is left out.
  std::vector<std::string> stops{};
};

// The settings of a command line as options; temperature 0 does not draw. Throws Error(config):
// draws with beams, top-k or top-p without draws.
ReplyOptions reply_options(double temperature, double top_p, std::int64_t top_k, std::int64_t beams,
                           std::int64_t max_tokens, std::uint64_t seed);

// `words` as Processor::prompt takes them: empty where the sample's turns say what is asked, or for
// a request to describe the picture. Throws
// Error(config) for a model that writes nothing.
std::string reply(const OpenModel& model, const data::Sample& sample, const std::string& words,
                  const ReplyOptions& options, const at::Device& device);

// A prompt among many.
struct AskedFor {
  data::Sample sample{};  // with its pictures
  std::string words{};    // as of reply()
};
// A line each, {"prompt": "...", "images": ["FILE", ...]}, either of which may be left out; files
// stand relative to the list. Throws Error(data) naming the line.
std::vector<AskedFor> read_prompts(const std::filesystem::path& list);

// The ids that are written to each, the end mark included where one came; `batch` prompts at once,
// padded on the side that the model wants. Greedy texts and beams are those of each prompt alone.
// Throws Error(config) for a stop that is no token.
std::vector<std::vector<std::int64_t>> replies(const OpenModel& model,
                                               const std::vector<AskedFor>& asked,
                                               std::int64_t batch, const ReplyOptions& options,
                                               const at::Device& device);

// A dialogue that grows. Pictures stand before the words that come next.
class Chat {
 public:
  // Throws Error(config) for a model that only captions.
  Chat(const OpenModel& model, ReplyOptions options, at::Device device);

  void show(std::vector<std::uint8_t> encoded);
  // The reply, which is kept. An Error leaves the dialogue as it was before.
  std::string say(const std::string& words);
  void clear();

 private:
  const OpenModel& model_;
  ReplyOptions options_;
  at::Device device_;
  data::Sample sample_{};
  std::int64_t shown_ = 0;  // pictures that stand in a turn
};

}  // namespace tandem::jobs
