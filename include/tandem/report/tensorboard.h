#pragma once
// TensorBoard's event files, written without TensorBoard: TFRecord frames (length, masked crc32c,
// bytes, masked crc32c) around protobuf messages of `Event`. Facts: tensorflow's
// core/lib/io/record_writer.h, core/util/event.proto, core/framework/summary.proto.
//
// Scalars only. A start opens a new file; its session mark makes TensorBoard drop the steps of
// older files that come again. Not thread-safe.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tandem/report/metrics.h"

namespace tandem::report {

// CRC-32C (Castagnoli), and TFRecord's form of it: rotated right by 15, plus 0xa282ead8.
std::uint32_t crc32c(std::string_view bytes);
std::uint32_t masked_crc32c(std::string_view bytes);
// One frame of a TFRecord file.
std::string tf_record(std::string_view bytes);

class EventFile {
 public:
  // A new file events.out.tfevents.SECONDS.tandem in `directory`, later by name than those that
  // are there. Throws Error(io).
  EventFile(const std::filesystem::path& directory, std::int64_t last_step);

  // Every value under its name with the first dot as a slash: `eval.retrieval.mean` is
  // `eval/retrieval.mean`, so that TensorBoard shows what belongs together together.
  void add(const Row& row);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write(const std::string& event);

  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace tandem::report
