#pragma once
// A picture as a value: 8-bit RGB, rows from the top, three bytes a pixel. No torch.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tandem::vision {

struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb{};  // [height, width, 3]

  bool empty() const { return rgb.empty(); }
  const std::uint8_t* row(int y) const {
    return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
  std::uint8_t* row(int y) {
    return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
  friend bool operator==(const Image&, const Image&) = default;
};

// A black picture of that size; both must be positive.
inline Image make_image(int width, int height) {
  return {width, height,
          std::vector<std::uint8_t>(static_cast<std::size_t>(width) *
                                    static_cast<std::size_t>(height) * 3)};
}

}  // namespace tandem::vision
