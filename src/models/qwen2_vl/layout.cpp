#include "models/qwen2_vl/layout.h"

#include <algorithm>
#include <cmath>

#include "tandem/base/error.h"

namespace tandem::models::qwen2_vl {

PatchPositions patch_positions(std::span<const Grid> grids, std::int64_t merge) {
  PatchPositions out;
  for (const Grid& grid : grids) {
    for (std::int64_t t = 0; t < grid.t; ++t) {
      for (std::int64_t cell_y = 0; cell_y < grid.h; cell_y += merge) {
        for (std::int64_t cell_x = 0; cell_x < grid.w; cell_x += merge) {
          for (std::int64_t i = 0; i < merge * merge; ++i) {
            out.row.push_back(cell_y + i / merge);
            out.column.push_back(cell_x + i % merge);
          }
        }
      }
    }
  }
  return out;
}

std::vector<std::int64_t> slice_ends(std::span<const Grid> grids) {
  std::vector<std::int64_t> ends{0};
  for (const Grid& grid : grids) {
    for (std::int64_t t = 0; t < grid.t; ++t) ends.push_back(ends.back() + grid.h * grid.w);
  }
  return ends;
}

Windows windows(std::span<const Grid> grids, std::int64_t merge, std::int64_t side) {
  Windows out;
  out.ends.push_back(0);
  std::int64_t first = 0;  // cell of the slice
  for (const Grid& grid : grids) {
    const std::int64_t rows = grid.h / merge, columns = grid.w / merge;
    for (std::int64_t t = 0; t < grid.t; ++t, first += rows * columns) {
      for (std::int64_t top = 0; top < rows; top += side) {
        for (std::int64_t left = 0; left < columns; left += side) {
          const std::int64_t bottom = std::min(top + side, rows);
          const std::int64_t right = std::min(left + side, columns);
          for (std::int64_t y = top; y < bottom; ++y) {
            for (std::int64_t x = left; x < right; ++x) {
              out.order.push_back(first + y * columns + x);
            }
          }
          out.ends.push_back(out.ends.back() + (bottom - top) * (right - left) * merge * merge);
        }
      }
    }
  }
  return out;
}

namespace {

// Position in time of a video's slice, counted from the video's first one.
std::int64_t time_of(std::int64_t slice, double seconds, bool single, const PositionRule& rule) {
  if (rule.tokens_per_second == 0) return slice;
  if (rule.after_video == AfterVideo::transformers5) {
    return slice * rule.tokens_per_second * static_cast<std::int64_t>(seconds);
  }
  if (single) {
    const float elapsed = static_cast<float>(slice) * static_cast<float>(seconds);
    return static_cast<std::int64_t>(elapsed * static_cast<float>(rule.tokens_per_second));
  }
  return static_cast<std::int64_t>(static_cast<double>(slice) * seconds *
                                   static_cast<double>(rule.tokens_per_second));
}

struct Visual {
  Grid grid;
  bool video = false;
  double seconds = 1;
};

Visual take(Visuals& visuals, bool video, const std::string& where) {
  const auto& grids = video ? visuals.videos : visuals.images;
  std::size_t& next = video ? visuals.next_video : visuals.next_image;
  if (next >= grids.size()) {
    throw Error(ErrorKind::data,
                std::string("[qwen2_vl] expected a ") + (video ? "video" : "picture") +
                    " for every place; there are " + std::to_string(grids.size()),
                where);
  }
  const double seconds = video && next < visuals.seconds.size() ? visuals.seconds[next] : 1.0;
  return {grids[next++], video, seconds};
}

void add(Positions& to, std::int64_t t, std::int64_t h, std::int64_t w) {
  to.axes[0].push_back(t);
  to.axes[1].push_back(h);
  to.axes[2].push_back(w);
}

// The tokens of one picture or video; where the text goes on.
void place(Positions& to, const Visual& visual, bool single, const PositionRule& rule) {
  const std::int64_t rows = visual.grid.h / rule.merge, columns = visual.grid.w / rule.merge;
  const std::int64_t first = to.next;
  std::int64_t last = first;
  for (std::int64_t slice = 0; slice < visual.grid.t; ++slice) {
    const std::int64_t t =
        first + (visual.video ? time_of(slice, visual.seconds, single, rule) : 0);
    for (std::int64_t y = 0; y < rows; ++y) {
      for (std::int64_t x = 0; x < columns; ++x) add(to, t, first + y, first + x);
    }
    last = std::max(last, t);
  }
  to.next = first + std::max(rows, columns);
  if (rule.after_video == AfterVideo::qwen) to.next = std::max(to.next, last + 1);
}

}  // namespace

Positions token_positions(std::span<const std::int64_t> ids, Visuals& visuals,
                          const PositionRule& rule, const std::string& where) {
  Positions out;
  for (std::size_t i = 0; i < ids.size();) {
    const bool video = ids[i] == rule.video_id;
    if (!video && ids[i] != rule.image_id) {
      add(out, out.next, out.next, out.next);
      ++out.next;
      ++i;
      continue;
    }
    const Visual visual = take(visuals, video, where);
    const auto places = static_cast<std::size_t>(vision::tokens_of(visual.grid, rule.merge));
    const bool whole = places > 0 && i + places <= ids.size() &&
                       std::all_of(ids.begin() + static_cast<std::ptrdiff_t>(i),
                                   ids.begin() + static_cast<std::ptrdiff_t>(i + places),
                                   [&](std::int64_t id) { return id == ids[i]; });
    if (!whole) {
      throw Error(ErrorKind::data,
                  "[qwen2_vl] expected " + std::to_string(places) +
                      " places in a row for a picture of that grid",
                  where);
    }
    place(out, visual, visuals.single, rule);
    i += places;
  }
  return out;
}

}  // namespace tandem::models::qwen2_vl
