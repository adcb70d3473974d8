#pragma once
// A task that judges each sample by itself: batches are runs of input.batch samples of the source,
// dealt to the ranks in turn; what was found is on all ranks, in the order of the source.

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "tandem/data/loader.h"
#include "tandem/eval/task.h"

namespace tandem::eval {

struct Outcome {
  std::int64_t index = -1;       // in the source; set by outcomes_of
  std::string id{};              // of the sample; set by outcomes_of
  std::string kind{};            // Sample::kind; set by outcomes_of
  std::vector<double> values{};  // what the task makes of it; what is not finite is NaN
  Query query{};                 // for predictions
  // Of what the model writes: what it is compared with, in the predictions' lines, too.
  std::vector<std::string> references{};
};

struct Judged {
  data::Sample sample{};                             // without its pictures
  std::vector<std::array<std::int64_t, 2>> sizes{};  // height and width of each as it is stored
};
// Of the rows of a batch, in their order. Rows without a sample are nobody's: an outcome stands in
// their place, and is dropped.
using Judge =
    std::function<std::vector<Outcome>(const Batch& batch, const std::vector<const Judged*>&)>;

// How samples become batches, where it is not Processor::prepare, and what is done with all
// outcomes before they are written down as predictions.
struct Reading {
  data::Prepare prepare{};
  Padding padding = Padding::right;
  std::function<void(std::vector<Outcome>&)> finish{};
};

// Samples that cannot be read or prepared are left out with a warning. Throws Error(data) when none
// is left. name: of the task, in the predictions' lines
// {"query": name, "id": ..., "kind": ..., "text": ..., "top": [...], "scores": [...], "right":
// [...], "values": [...]}.
std::vector<Outcome> outcomes_of(const Input& input, const std::string& name, const Judge& judge,
                                 const Reading& reading = {});

// The mean of a value over all outcomes as `name`, and over those of each kind, where there are
// several, as `name.KIND`.
void add_means(Metrics& metrics, const std::string& name, const std::vector<Outcome>& outcomes,
               std::size_t value);

}  // namespace tandem::eval
