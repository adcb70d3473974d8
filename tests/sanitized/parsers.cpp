// Every parser of foreign bytes in one program under AddressSanitizer and UBSan: the fuzz targets
// (tests/fuzz/targets) on their corpus. Each input goes through its target whole, cut in half, and
// changed in `changes` ways that follow from its name: the same each time.
//
//   parsers CORPUS CHANGES        CORPUS/TARGET/*; prints how many, a find ends the process
//   parsers --break               reads behind an array's end: what a find looks like

#define LLVMFuzzerTestOneInput fuzz_config
#include "../fuzz/targets/config.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_encode
#include "../fuzz/targets/encode.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_jpeg
#include "../fuzz/targets/jpeg.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_json
#include "../fuzz/targets/json.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_manifest
#include "../fuzz/targets/manifest.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_png
#include "../fuzz/targets/png.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_safetensors
#include "../fuzz/targets/safetensors.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_tar
#include "../fuzz/targets/tar.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_tokenizer
#include "../fuzz/targets/tokenizer.cpp"
#undef LLVMFuzzerTestOneInput

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tandem/base/random.h"

namespace {

namespace fs = std::filesystem;
using ParserBytes = std::vector<std::uint8_t>;

struct Target {
  const char* name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};
constexpr Target targets[] = {{"config", fuzz_config},
                              {"encode", fuzz_encode},
                              {"jpeg", fuzz_jpeg},
                              {"json", fuzz_json},
                              {"manifest", fuzz_manifest},
                              {"png", fuzz_png},
                              {"safetensors", fuzz_safetensors},
                              {"tar", fuzz_tar},
                              {"tokenizer", fuzz_tokenizer}};

// One to four edits: a bit, a byte, a piece that is gone, stands twice or is a number at its edge.
ParserBytes changed(ParserBytes bytes, tandem::Key key) {
  static constexpr std::uint8_t edges[] = {0x00, 0x7f, 0x80, 0xff};
  tandem::Random random(key);
  const std::uint64_t edits = 1 + random.below(4);
  for (std::uint64_t i = 0; i < edits && !bytes.empty(); ++i) {
    const std::uint64_t at = random.below(bytes.size());
    const std::uint64_t length = 1 + random.below(std::min<std::uint64_t>(16, bytes.size() - at));
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = first + static_cast<std::ptrdiff_t>(length);
    switch (random.below(5)) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1U << random.below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(random.below(256));
        break;
      case 2:
        bytes.erase(first, last);
        break;
      case 3: {
        const ParserBytes piece(first, last);
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
        break;
      }
      default:
        std::fill(first, last, edges[random.below(4)]);
    }
  }
  return bytes;
}

std::size_t run(const Target& target, const fs::path& folder, std::uint64_t changes) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const ParserBytes bytes{std::istreambuf_iterator<char>(in), {}};
    const tandem::Key key = tandem::Key(1).fold(target.name).fold(file.filename().string());
    // In a copy of its own size: what is read behind its end is seen.
    const auto give = [&](const ParserBytes& some) {
      const ParserBytes exact(some.begin(), some.end());
      target.run(exact.data(), exact.size());
    };
    std::fprintf(stderr, "%s\n", file.c_str());
    give(bytes);
    give({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2)});
    for (std::uint64_t i = 0; i < changes; ++i) {
      try {
        give(changed(bytes, key.fold(i)));
      } catch (...) {
        std::fprintf(stderr, "change %llu of it\n", static_cast<unsigned long long>(i));
        throw;
      }
    }
  }
  return files.size();
}

int read_behind_the_end(std::size_t size) {
  const ParserBytes bytes(size, 1);
  return *(bytes.data() + size);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--break") {
    return read_behind_the_end(static_cast<std::size_t>(argc) + 5);
  }
  if (argc != 3) return 64;
  const std::uint64_t changes = std::stoull(argv[2]);
  for (const Target& target : targets) {
    const std::size_t before = tandem::fuzz::inputs_read;
    const std::size_t files = run(target, fs::path(argv[1]) / target.name, changes);
    const std::size_t read = tandem::fuzz::inputs_read - before;
    std::printf("%s: %zu inputs, each whole, cut in half and changed in %llu ways; %zu read\n",
                target.name, files, static_cast<unsigned long long>(changes), read);
    if (read == 0) return 1;  // all were refused: nothing behind the first check was looked at
  }
  return 0;
}
