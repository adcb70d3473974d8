// JPEG files to what a model sees, on one core:  bench_pictures FOLDER SIZE SECONDS MODE [DUMP]
// MODE: view (the evaluation transform), decode (its first half alone), full or scaled (the training
// view, `decode: scaled`).
// DUMP takes the pixels of the first 8 files (by name), SIZE x SIZE x 3 bytes each. Prints one line
// of JSON: pictures a second of the fastest pass.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tandem/vision/transform.h"

namespace {

using namespace tandem;
using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::uint8_t>;

std::vector<Bytes> files_of(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> files;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return files;
}

vision::Image view(const Bytes& bytes, const vision::ImageSettings& settings,
                   const std::string& mode, std::size_t number) {
  if (mode == "decode") return vision::decode(bytes, "", settings);
  if (mode == "view") {
    return vision::evaluation_view(vision::decode(bytes, "", settings), settings);
  }
  vision::AugmentSettings augment;
  augment.min_scale = 0.5;
  return vision::training_view(bytes, "", settings, augment, Key(1).fold(number));
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 64;
  const std::vector<Bytes> files = files_of(argv[1]);
  const std::string mode = argv[4];
  vision::ImageSettings settings;
  settings.size = std::atoll(argv[2]);
  settings.decode = mode == "scaled" ? "scaled" : "full";
  if (argc > 5) {
    std::ofstream dump(argv[5], std::ios::binary);
    for (std::size_t i = 0; i < std::min<std::size_t>(8, files.size()); ++i) {
      const vision::Image image = view(files[i], settings, mode, i);
      dump.write(reinterpret_cast<const char*>(image.rgb.data()),
                 static_cast<std::streamsize>(image.rgb.size()));
    }
  }
  double best = 1e30;
  for (const auto begin = Clock::now(); best > 1e29 || seconds_since(begin) < std::atof(argv[3]);) {
    const auto pass = Clock::now();
    for (std::size_t i = 0; i < files.size(); ++i) view(files[i], settings, mode, i);
    best = std::min(best, seconds_since(pass));
  }
  std::printf("{\"per_second\": %.2f}\n", static_cast<double>(files.size()) / best);
  return 0;
}
