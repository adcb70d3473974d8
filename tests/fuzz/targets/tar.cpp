// A tar: members lie inside of it, and what its index says survives being written and read.

#include "data/tar.h"

#include "../support.h"
#include "data/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  const fuzz::MemoryFile file(data, size);
  fuzz::accepted([&] {
    const data::InputFile tar(file.path());
    data::TarReader reader(tar, file.path());
    while (const auto member = reader.next()) {
      fuzz::require(
          member->offset >= 0 && member->size >= 0 && member->offset <= tar.size() - member->size,
          "a member lies inside of the tar");
      fuzz::require(member->name.find("..") == std::string::npos ||
                        ("/" + member->name + "/").find("/../") == std::string::npos,
                    "no name leads out");
    }
  });
  fuzz::accepted([&] {
    const data::ShardIndex index = data::build_shard_index(file.path());
    const auto again = data::parse_shard_index(data::serialise(index));
    fuzz::require(again.has_value() && again->samples.size() == index.samples.size(),
                  "the same samples");
  });
  // The kept index is a file as well, and anybody may have written it.
  data::parse_shard_index(fuzz::text_of(data, size));
  return 0;
}
