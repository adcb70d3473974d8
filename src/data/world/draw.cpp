#include "tandem/data/world/draw.h"

#include <algorithm>

#include "font.h"
#include "tandem/base/error.h"

namespace tandem::data::world {
namespace {

struct Rgb {
  int r = 0, g = 0, b = 0;
};

constexpr std::array<Rgb, kColours> kPaint{{{220, 30, 30},
                                            {255, 135, 0},
                                            {250, 220, 20},
                                            {20, 150, 40},
                                            {0, 205, 225},
                                            {30, 60, 220},
                                            {125, 25, 160},
                                            {255, 130, 190}}};
constexpr std::array<Rgb, kBackgrounds> kPaper{
    {{245, 245, 245}, {140, 140, 140}, {12, 12, 12}, {215, 195, 155}}};

// Lengths below are in half units (1/6 pixel), so that the middle of a sample is an odd integer.
constexpr int kSamples = 3, kPixel = 2 * kSamples;

struct Disc {  // where an object stands, and how far it reaches
  int x = 0, y = 0, radius = 0;
};

Disc disc_of(const Scene& scene, const Object& object, int side, int frame) {
  const int cell = 2 * side;
  const auto middle = [&](int at, int shift) { return at * cell + cell / 2 + shift * cell / 1024; };
  const Motion& motion = object.motion;
  const int fps = scene.frames_per_second;
  const int ticks = std::clamp(frame - motion.start * fps, 0, motion.seconds * fps);
  const int moved = cell * motion.speed * ticks / (4 * fps);
  return {middle(object.place % 3, object.shift_x) + motion.dx * moved,
          middle(object.place / 3, object.shift_y) + motion.dy * moved,
          cell * (object.look.size == 0 ? 25 : 43) / 100};
}

// How far a shape reaches from its middle, in hundredths of the radius: left and right, up, down.
struct Reach {
  int across = 100, up = 100, down = 100;
};

constexpr std::array<Reach, kShapes> kReach{
    {{94, 94, 94}, {84, 84, 84}, {98, 92, 84}, {100, 100, 100}, {100, 100, 100}, {100, 100, 100}}};

// Whether (x, y) from the middle of a shape of radius r lies inside.
bool inside(int shape, int x, int y, int r) {
  const int ax = std::abs(x), ay = std::abs(y);
  switch (shape) {
    case 0:  // circle
      return 10000 * (x * x + y * y) <= 94 * 94 * r * r;
    case 1:  // square
      return 100 * std::max(ax, ay) <= 84 * r;
    case 2: {  // triangle, its point upwards: 0.98 r wide at 0.84 r below, a point at 0.92 r above
      const int below_top = 100 * y + 92 * r;  // 0 to 176 r
      return below_top >= 0 && 100 * y <= 84 * r && 176 * 100 * ax <= 98 * below_top;
    }
    case 3:  // diamond
      return ax + ay <= r;
    case 4:  // cross
      return std::max(ax, ay) <= r && 100 * std::min(ax, ay) <= 30 * r;
    default: {  // ring
      const int square = 100 * (x * x + y * y);
      return square <= 100 * r * r && square >= 30 * r * r;
    }
  }
}

std::uint8_t shaded(int channel, int shade) {
  return static_cast<std::uint8_t>(std::clamp(channel + shade, 0, 255));
}

Rgb with_shade(const Rgb& colour, int shade) {
  return {shaded(colour.r, shade), shaded(colour.g, shade), shaded(colour.b, shade)};
}

void blend(std::uint8_t* pixel, const Rgb& paint, const Rgb& stripe, int painted, int striped) {
  constexpr int all = kSamples * kSamples;
  const int rest = all - painted - striped;
  const auto mix = [&](int below, int a, int b) {
    return static_cast<std::uint8_t>((below * rest + a * painted + b * striped + all / 2) / all);
  };
  pixel[0] = mix(pixel[0], paint.r, stripe.r);
  pixel[1] = mix(pixel[1], paint.g, stripe.g);
  pixel[2] = mix(pixel[2], paint.b, stripe.b);
}

struct Span {
  int from = 0, to = 0;  // pixels, `to` exclusive
};

Span pixels_between(int low, int high, int side) {
  const auto floor_div = [](int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); };
  return {std::clamp(floor_div(low, kPixel), 0, side),
          std::clamp(floor_div(high + kPixel - 1, kPixel), 0, side)};
}

void draw_object(vision::Image& image, const Object& object, const Disc& disc) {
  const Rgb paint = with_shade(kPaint[object.look.colour], object.shade);
  const Rgb stripe{paint.r * 3 / 10, paint.g * 3 / 10, paint.b * 3 / 10};
  const bool textured = object.look.texture == 1;
  const int r = disc.radius;
  const int band = std::max(1, r * 38 / 100);  // a stripe's width along x + y
  const Span across = pixels_between(disc.x - r, disc.x + r, image.width);
  const Span down = pixels_between(disc.y - r, disc.y + r, image.height);
  for (int py = down.from; py < down.to; ++py) {
    std::uint8_t* row = image.row(py);
    for (int px = across.from; px < across.to; ++px) {
      int painted = 0, striped = 0;
      for (int s = 0; s < kSamples * kSamples; ++s) {
        const int x = px * kPixel + 2 * (s % kSamples) + 1 - disc.x;
        const int y = py * kPixel + 2 * (s / kSamples) + 1 - disc.y;
        if (!inside(object.look.shape, x, y, r)) continue;
        // x + y >= -2 r inside: 8 bands on it is positive
        const bool dark = textured && (x + y + 8 * band) / band % 2 == 1;
        (dark ? striped : painted) += 1;
      }
      if (painted + striped > 0) blend(row + 3 * px, paint, stripe, painted, striped);
    }
  }
}

void fill(vision::Image& image, Span across, Span down, const Rgb& colour) {
  for (int y = down.from; y < down.to; ++y) {
    for (int x = across.from; x < across.to; ++x) {
      std::uint8_t* pixel = image.row(y) + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(colour.r);
      pixel[1] = static_cast<std::uint8_t>(colour.g);
      pixel[2] = static_cast<std::uint8_t>(colour.b);
    }
  }
}

// Text with its top left corner at (left, top); what leaves the picture is cut.
void draw_text(vision::Image& image, std::string_view text, int left, int top, int scale,
               const Rgb& ink) {
  const auto cut = [](int from, int to, int end) {
    return Span{std::clamp(from, 0, end), std::clamp(to, 0, end)};
  };
  for (const char character : text) {
    const Glyph& glyph = glyph_of(character);
    for (int row = 0; row < kGlyphHeight; ++row) {
      for (int column = 0; column < kGlyphWidth; ++column) {
        if ((glyph[row] >> (kGlyphWidth - 1 - column) & 1) == 0) continue;
        const int x = left + column * scale, y = top + row * scale;
        fill(image, cut(x, x + scale, image.width), cut(y, y + scale, image.height), ink);
      }
    }
    left += (kGlyphWidth + 1) * scale;
  }
}

int text_width(std::string_view text, int scale) {
  return (static_cast<int>(text.size()) * (kGlyphWidth + 1) - 1) * scale;
}

Rgb ink_on(const Rgb& paper) {
  const bool light = 3 * paper.r + 6 * paper.g + paper.b > 1150;
  return light ? Rgb{10, 10, 10} : Rgb{250, 250, 250};
}

void draw_words(vision::Image& image, const Scene& scene) {
  const int scale = std::max(1, image.width / 64);
  const Rgb ink = ink_on(kPaper[scene.background]);
  for (const Word& word : scene.words) {
    const Box box = word_box(scene, word, image.width);
    draw_text(image, word.text, static_cast<int>(box.x0), static_cast<int>(box.y0), scale, ink);
  }
}

void draw_button(vision::Image& image, const Button& button) {
  const int scale = std::max(1, image.width / 64);
  const Box box = button_box(button, image.width);
  const Span across{static_cast<int>(box.x0), static_cast<int>(box.x1)};
  const Span down{static_cast<int>(box.y0), static_cast<int>(box.y1)};
  const Rgb face = kPaint[button.colour];
  fill(image, across, down, face);
  draw_text(image, button.text, (across.from + across.to - text_width(button.text, scale)) / 2,
            (down.from + down.to - kGlyphHeight * scale) / 2, scale, ink_on(face));
}

}  // namespace

vision::Image draw(const Scene& scene, int side, int frame) {
  TANDEM_CHECK(is_side(side), "[world] a picture's side is 64, 96 or 224");
  vision::Image image = vision::make_image(side, side);
  fill(image, {0, side}, {0, side}, kPaper[scene.background]);
  for (const Object& object : scene.objects) {
    draw_object(image, object, disc_of(scene, object, side, frame));
  }
  for (const Button& button : scene.buttons) draw_button(image, button);
  draw_words(image, scene);
  return image;
}

Clip draw_clip(const Scene& scene, int side) {
  Clip drawn;
  drawn.fps = scene.frames_per_second;
  for (int frame = 0; frame < scene.frames; ++frame) {
    drawn.frames.push_back({{}, draw(scene, side, frame)});
    drawn.seconds.push_back(static_cast<double>(frame) / drawn.fps);
  }
  return drawn;
}

Box object_box(const Scene& scene, const Object& object, int side, int frame) {
  const Disc disc = disc_of(scene, object, side, frame);
  const Reach& reach = kReach[object.look.shape];
  const auto pixel = [&](int middle, int hundredths) {
    const double half_units = middle + disc.radius * hundredths / 100.0;
    return std::clamp(half_units / kPixel, 0.0, static_cast<double>(side));
  };
  return {pixel(disc.x, -reach.across), pixel(disc.y, -reach.up), pixel(disc.x, reach.across),
          pixel(disc.y, reach.down)};
}

Box word_box(const Scene& scene, const Word& word, int side) {
  const int scale = std::max(1, side / 64), line_height = 10 * scale;
  const int width = text_width(word.text, scale);
  const bool page = scene.kind == Kind::page;
  const int left = page ? 3 * scale : (side - width) / 2;
  const int top = page ? 5 * scale + word.line * line_height : side - line_height;
  return {static_cast<double>(left), static_cast<double>(top), static_cast<double>(left + width),
          static_cast<double>(top + kGlyphHeight * scale)};
}

Box button_box(const Button& button, int side) {
  const int column = button.place % 3, row = button.place / 3;
  const int margin = std::max(1, side / 64), high = 3 * margin;
  return {static_cast<double>(column * side / 3 + margin),
          static_cast<double>(row * side / 3 + high),
          static_cast<double>((column + 1) * side / 3 - margin),
          static_cast<double>((row + 1) * side / 3 - high)};
}

}  // namespace tandem::data::world
