#pragma once
// The fixtures that tests/reference/vision.py made.

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "../support/errors.h"
#include "tandem/vision/image.h"

namespace tandem::test {

inline std::filesystem::path fixtures() {
  return std::filesystem::path(TANDEM_SOURCE_DIR) / "tests/reference/vision";
}

inline std::vector<std::uint8_t> bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline vision::Image read_ppm(const std::string& name) {
  std::ifstream file(fixtures() / (name + ".ppm"), std::ios::binary);
  std::string magic;
  int width = 0, height = 0, most = 0;
  file >> magic >> width >> height >> most;
  file.get();
  REQUIRE((magic == "P6" && most == 255));
  vision::Image image = vision::make_image(width, height);
  file.read(reinterpret_cast<char*>(image.rgb.data()),
            static_cast<std::streamsize>(image.rgb.size()));
  REQUIRE(file);
  return image;
}

// Size and FNV-1a of the pixels, as expected.txt has them.
inline std::string summary(const vision::Image& image) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const std::uint8_t byte : image.rgb) hash = (hash ^ byte) * 0x100000001B3ull;
  char text[64];
  std::snprintf(text, sizeof text, "%d %d %016llx", image.width, image.height,
                static_cast<unsigned long long>(hash));
  return text;
}

inline std::map<std::string, std::string> expected_summaries() {
  std::ifstream file(fixtures() / "expected.txt");
  std::map<std::string, std::string> all;
  std::string name, rest;
  while (file >> name && std::getline(file, rest)) all[name] = rest.substr(1);
  return all;
}

inline int largest_difference(const vision::Image& a, const vision::Image& b) {
  REQUIRE(a.width == b.width);
  REQUIRE(a.height == b.height);
  int most = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i) {
    most = std::max(most, std::abs(int{a.rgb[i]} - int{b.rgb[i]}));
  }
  return most;
}

}  // namespace tandem::test
