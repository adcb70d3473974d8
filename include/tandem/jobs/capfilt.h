#pragma once
// CapFilt (Li et al. 2022, section 3.3): a model captions the pictures of sources, another judges
// captions by how well they match their pictures.
//
// A job goes through its inputs in parts of `part` samples (of all texts of theirs, where texts are
// judged), dealt to the ranks in turn. A part is a
// file of JSON Lines (data/judged.h), NNNNNN.jsonl, written at once; parts that are there are not
// made again, so a job that was killed goes on where it stood and ends in the same bytes, whatever
// the number of ranks. All ranks see the same folder. The last thing written is summary.json.
// With `shards`, NNNNNN.tar holds what is kept of the part, each caption with its picture
// (data/written_shard.h; its .json is the line), and is a part of what has to be there.

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tandem/data/source.h"
#include "tandem/dist/mesh.h"
#include "tandem/models/model.h"

namespace tandem::jobs {

struct CapfiltInput {
  std::string name{};
  std::shared_ptr<const data::Source> source{};
};

struct CapfiltJob {
  std::string name{};  // of the job: what the captions that it writes come from
  models::Model* model = nullptr;
  const models::Processor* processor = nullptr;
  std::vector<CapfiltInput> inputs{};
  std::filesystem::path folder{};
  std::int64_t batch = 64, part = 1024;  // samples; part: rounded up to whole batches
  bool shards = false;                   // NNNNNN.tar, too
  int threads = 2;
  const dist::Mesh* mesh = nullptr;
  at::Device device{at::kCPU};
  // Called by all ranks between parts; it may throw to end the job. Empty: nothing.
  std::function<void()> between{};
  // Captions: the draws of a sample are keyed by its place in its source.
  models::GenerateOptions generate{};
  std::string prompt{};
  double threshold = 0.5;  // filter: kept above this probability of a match
};

bool is_finished(const std::filesystem::path& folder);

// A caption for every picture of the inputs. Lines: `why` is "written", "no words" or what is wrong
// with the picture. Throws Error(config) for a model that does not write.
void write_captions(const CapfiltJob& job);

// Judges every text of every sample, each in a line of its own: those of a picture stand behind
// each other, in their order. Lines say `match`, the probability, and why a caption was kept or
// dropped; where the source knows whether its captions are true, `label` and `kind` too. The
// summary then has the filter's area under the curve of true and wrong captions, of each kind.
// Throws Error(config) for a model that does not match.
void filter_captions(const CapfiltJob& job);

}  // namespace tandem::jobs
