#pragma once
// Visual codes from pictures: k-means of their patches (tensor/kmeans.h), as many centers as the
// model has codes (models/visual_codes.h).
//
// All lies in one folder, which all ranks see:
//   patches/NNNNNN.safetensors  rows of `part` pictures, dealt to the ranks in turn
//   state.safetensors           the centers after the last round that is done
//   codes.safetensors           `centers` [K, F], written last; then the others are removed
// Files are written at once, and what is there is not made again: a job that was killed goes on
// where it stood. Pictures and patches are drawn by the key, rows stand in the order of the draw,
// and the ranks share pictures and rows but no sum: on a CPU the file has the same bytes for any
// number of threads and ranks, killed or not.
//
// Every rank holds all rows: samples x patches x F x 4 bytes, and on a GPU once more there.

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tandem/data/source.h"
#include "tandem/dist/mesh.h"
#include "tandem/models/model.h"

namespace tandem::jobs {

inline constexpr const char* codes_file = "codes.safetensors";

struct CodesJob {
  std::string name{};                    // of the job, for messages
  const models::Model* model = nullptr;  // says how pictures are cut; its own codes stay
  const models::Processor* processor = nullptr;
  std::vector<std::pair<std::string, std::shared_ptr<const data::Source>>> inputs{};
  std::filesystem::path folder{};
  std::int64_t samples = 8192;           // pictures of all inputs; all where there are fewer
  std::int64_t patches = 16;             // of each, at most; 0: all
  std::int64_t rounds = 30;              // at most: it ends where nothing moves any more
  std::int64_t batch = 64, part = 1024;  // pictures; part: rounded up to whole batches
  int threads = 2;                       // that read
  const dist::Mesh* mesh = nullptr;
  at::Device device{at::kCPU};
  Key key{0};
  // Called by all ranks between parts and rounds; it may throw to end the job. Empty: nothing.
  std::function<void()> between{};
};

// Throws Error(config) for a model without codes that are learned, or fewer patches than codes;
// Error(data) for broken files in the folder.
void train_codes(const CodesJob& job);

}  // namespace tandem::jobs
