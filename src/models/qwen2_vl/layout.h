#pragma once
// Where every patch and every token stands: pure rules on grids and ids, on the host.
// Source: Wang et al. 2024 (arXiv:2409.12191), sections 2.1 and 2.2; Bai et al. 2025
// (arXiv:2502.13923), section 2.1; QwenLM/Qwen3-VL:qwen-vl-finetune/qwenvl/data/rope2d.py;
// transformers:vision_utils.py.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tandem/vision/any_resolution.h"

namespace tandem::models::qwen2_vl {

using vision::Grid;

// --- In the tower ------------------------------------------------------------------------------

// Row and column of every patch, in the order of the patches: cells of merge x merge in rows, the
// same for each slice of time.
struct PatchPositions {
  std::vector<std::int64_t> row, column;
};
PatchPositions patch_positions(std::span<const Grid> grids, std::int64_t merge);

// A patch sees its own slice of time only: where each slice begins among the patches, and the end.
std::vector<std::int64_t> slice_ends(std::span<const Grid> grids);

// The order of cells in which windows are whole: slices of time, windows in rows, cells in rows
// inside a window; windows at the right and the bottom are smaller.
struct Windows {
  std::vector<std::int64_t> order;  // of cells: the i-th is cell order[i]
  std::vector<std::int64_t> ends;   // among the patches, as slice_ends
};
// side: cells of a window's side.
Windows windows(std::span<const Grid> grids, std::int64_t merge, std::int64_t side);

// --- In the language model ---------------------------------------------------------------------

// Where a text goes on behind a video: behind its last position on any axis, as Qwen trained it, or
// as transformers 5 has it, behind the longer side of a frame whatever the time (and with
// seconds cut to whole ones before they are multiplied).
enum class AfterVideo { qwen, transformers5 };

struct PositionRule {
  std::int64_t merge = 2;
  std::int64_t image_id = 0, video_id = 0;  // of the places that pictures and videos take
  // Time in a video: positions a second; 0: the slices are counted (Qwen2-VL).
  std::int64_t tokens_per_second = 0;
  AfterVideo after_video = AfterVideo::qwen;
};

// The pictures and videos of a batch in the order of their places, taken one by one.
struct Visuals {
  std::vector<Grid> images, videos;
  std::vector<double> seconds;  // between a video's slices; empty: 1
  bool single = true;           // seconds are multiplied in single precision
  std::size_t next_image = 0, next_video = 0;
};

struct Positions {
  std::array<std::vector<std::int64_t>, 3> axes;  // time, height, width; one number a token
  std::int64_t next = 0;                          // where a text behind all of it goes on
};

// Of one sample's tokens, without padding. Throws Error(data) where places and grids disagree.
Positions token_positions(std::span<const std::int64_t> ids, Visuals& visuals,
                          const PositionRule& rule, const std::string& where = {});

}  // namespace tandem::models::qwen2_vl
