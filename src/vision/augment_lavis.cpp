// ALBEF's and LAVIS' operations on OpenCV. They were written for BGR and are given RGB: the weights
// of gray fall on the channels in that order, as in the original.

#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "vision/augment_ops.h"

namespace tandem::vision {
namespace {

constexpr double kBlueFirst[3] = {0.114, 0.587, 0.299};

cv::Mat matrix_of(const Image& image) {
  // OpenCV reads it only; its type knows no const.
  return {image.height, image.width, CV_8UC3, const_cast<std::uint8_t*>(image.rgb.data())};
}

Image warped(const Image& image, const cv::Mat& matrix) {
  // The loader's threads are the threads; OpenCV adds none.
  static const bool alone = [] {
    cv::setNumThreads(0);
    return true;
  }();
  static_cast<void>(alone);
  Image out = make_image(image.width, image.height);
  cv::Mat to = matrix_of(out);
  cv::warpAffine(matrix_of(image), to, matrix, to.size(), cv::INTER_LINEAR, cv::BORDER_CONSTANT,
                 cv::Scalar(128, 128, 128));
  return out;
}

Image affine(const Image& image, float a, float b, float c, float d, float e, float f) {
  return warped(image, (cv::Mat_<float>(2, 3) << a, b, c, d, e, f));
}

double signed_by(double value, bool negative) { return negative ? -value : value; }

double factor_of(double strength) { return strength * 1.8 + 0.1; }

std::uint8_t cut(double value) {
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

Image identity(const Image& image, double, bool) { return image; }
Image auto_contrast_op(const Image& image, double, bool) { return auto_contrast(image); }
Image equalize_op(const Image& image, double, bool) { return equalize(image); }

Image rotate(const Image& image, double strength, bool negative) {
  const cv::Point2f centre(static_cast<float>(image.width) / 2,
                           static_cast<float>(image.height) / 2);
  return warped(image, cv::getRotationMatrix2D(centre, signed_by(strength * 30, negative), 1));
}

Image shear_x(const Image& image, double strength, bool negative) {
  return affine(image, 1, static_cast<float>(signed_by(strength * 0.3, negative)), 0, 0, 1, 0);
}

Image shear_y(const Image& image, double strength, bool negative) {
  return affine(image, 1, 0, 0, static_cast<float>(signed_by(strength * 0.3, negative)), 1, 0);
}

Image translate_x(const Image& image, double strength, bool negative) {
  return affine(image, 1, 0, static_cast<float>(-signed_by(strength * 10, negative)), 0, 1, 0);
}

Image translate_y(const Image& image, double strength, bool negative) {
  return affine(image, 1, 0, 0, 0, 1, static_cast<float>(-signed_by(strength * 10, negative)));
}

Image brightness(const Image& image, double strength, bool) {
  const auto factor = static_cast<float>(factor_of(strength));
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[i] = cut(static_cast<float>(i) * factor);
  return through_table(image, table);
}

Image contrast(const Image& image, double strength, bool) {
  std::int64_t sums[3]{};
  for (std::size_t i = 0; i < image.rgb.size(); ++i) sums[i % 3] += image.rgb[i];
  double mean = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    mean += static_cast<double>(sums[c]) / (static_cast<double>(image.width) * image.height) *
            kBlueFirst[c];
  }
  const double factor = factor_of(strength);
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[i] = cut((i - mean) * factor + mean);
  return through_table(image, table);
}

Image color(const Image& image, double strength, bool) {
  // [3, 3]: from channels (rows) to channels; gray where the factor is 0.
  static constexpr float kAway[3][3] = {
      {0.886F, -0.114F, -0.114F}, {-0.587F, 0.413F, -0.587F}, {-0.299F, -0.299F, 0.701F}};
  const auto factor = static_cast<float>(factor_of(strength));
  float mix[3][3];
  for (int from = 0; from < 3; ++from) {
    for (int to = 0; to < 3; ++to) {
      mix[from][to] = kAway[from][to] * factor + static_cast<float>(kBlueFirst[from]);
    }
  }
  Image out = image;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    for (std::size_t to = 0; to < 3; ++to) {
      out.rgb[i + to] = cut(static_cast<float>(image.rgb[i]) * mix[0][to] +
                            static_cast<float>(image.rgb[i + 1]) * mix[1][to] +
                            static_cast<float>(image.rgb[i + 2]) * mix[2][to]);
    }
  }
  return out;
}

Image sharpness(const Image& image, double strength, bool) {
  const double factor = factor_of(strength);
  if (factor == 1.0) return image;
  cv::Mat kernel = cv::Mat::ones(3, 3, CV_32F);
  kernel.at<float>(1, 1) = 5;
  kernel /= 13;
  cv::Mat smooth;
  cv::filter2D(matrix_of(image), smooth, -1, kernel);
  Image out = image;  // the edge stays
  for (int y = 1; y + 1 < image.height; ++y) {
    const std::uint8_t* blurred = smooth.ptr<std::uint8_t>(y);
    std::uint8_t* row = out.row(y);
    for (int i = 3; i < (image.width - 1) * 3; ++i) {
      const auto base = static_cast<float>(blurred[i]);
      const float value = base + static_cast<float>(factor) * (static_cast<float>(row[i]) - base);
      // The original casts to a byte without clipping: what is over wraps around.
      row[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(value));
    }
  }
  return out;
}

Image solarize(const Image& image, double strength, bool) {
  const int threshold = static_cast<int>(strength * 256);
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i < threshold ? i : 255 - i);
  return through_table(image, table);
}

Image posterize(const Image& image, double strength, bool) {
  const int bits = static_cast<int>(strength * 4);
  const int mask = 255 << (8 - bits) & 255;
  ByteTable table;
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i & mask);
  return through_table(image, table);
}

}  // namespace

std::span<const AugmentOp> lavis_ops() {
  static const AugmentOp ops[] = {
      {"Identity", identity},        {"AutoContrast", auto_contrast_op},
      {"Equalize", equalize_op},     {"Brightness", brightness},
      {"Sharpness", sharpness},      {"ShearX", shear_x},
      {"ShearY", shear_y},           {"TranslateX", translate_x},
      {"TranslateY", translate_y},   {"Rotate", rotate},
      {"Color", color, false},       {"Contrast", contrast, false},
      {"Solarize", solarize, false}, {"Posterize", posterize, false},
  };
  return ops;
}

}  // namespace tandem::vision
