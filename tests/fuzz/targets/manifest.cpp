// A checkpoint's manifest, with its checksum set right (a wrong one is refused at once), and as it
// is.

#include "checkpoint/manifest.h"

#include "../support.h"
#include "tandem/base/hash.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  const std::string text(fuzz::text_of(data, size));
  fuzz::accepted([&] { checkpoint::parse_manifest(text, "fuzz"); });
  const std::string rest = "\",\n" + text;
  const std::string summed = "{\n \"xxh3_128\": \"" + hash128(rest) + rest;
  fuzz::accepted([&] {
    const checkpoint::Manifest manifest = checkpoint::parse_manifest(summed, "fuzz");
    for (const checkpoint::FileFacts& file : manifest.files) {
      fuzz::require(checkpoint::is_plain_name(file.name), "names stay in the folder");
    }
    const checkpoint::Manifest again = fuzz::read_back([&] {
      return checkpoint::parse_manifest(checkpoint::manifest_text(manifest, {}), "again");
    });
    fuzz::require(again.step == manifest.step && again.files.size() == manifest.files.size(),
                  "the same after a round");
  });
  return 0;
}
