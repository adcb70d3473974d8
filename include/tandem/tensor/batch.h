#pragma once
// What a model sees: a plain struct of named parts, the meaning in the type. An absent part is
// nullopt. A Batch of one is an Example (what a Processor makes of a Sample); collate and pack are
// generic over the parts.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace tandem {

// Pixels travel as uint8 and are normalised on the device, (x/255 - mean)/std. Pictures of one
// size, or of several with a mask: then each stands in the top left corner. N = B unless `rows`.
struct Images {
  at::Tensor pixels;  // [B, 3, H, W] uint8, or float32 when already normalised
  at::Tensor mask;    // [B, H, W] uint8, 1 = a pixel; undefined: all are
  at::Tensor hidden;  // [B, P] uint8, 1 = a patch that is to be guessed; may be undefined
  // Height and width of each picture, on the host; empty where nobody needs them.
  std::vector<std::array<std::int64_t, 2>> sizes{};
  // [N] int64: whose pictures they are, where a sample has several or none; undefined: row i has
  // picture i.
  at::Tensor rows{};
};

// Pictures of any size, cut into patches and laid end to end, in the order of their places in text.
struct PackedPatches {
  at::Tensor patches;     // [sum P, patch_dim]
  at::Tensor grid_thw;    // [N, 3] int64; stays on the host, where it is decided who sees whom
  at::Tensor cu_seqlens;  // [N + 1] int32; on the host, too
};

struct Tokens {
  at::Tensor ids;        // [B, T] int64
  at::Tensor mask;       // [B, T] int64; 1 = a token, 0 = padding
  at::Tensor labels;     // [B, T] int64, -100 = not supervised; may be undefined
  at::Tensor positions;  // [B, T] or [3, B, T] int64; may be undefined
  at::Tensor segments;   // [B, T] int64, the sample's number inside a pack; may be undefined
  std::vector<std::int64_t> lengths{};  // tokens of each text, on the host; may be empty
};

struct Batch {
  std::vector<std::int64_t> positions{};  // of the samples in the global order of the stage
  at::Tensor picture_ids;                 // [B] int64: which rows show the same picture
  std::optional<Images> images{};
  std::optional<PackedPatches> patches{};
  std::optional<Tokens> text{};
  std::optional<Tokens> masked{};  // the same texts with tokens hidden; labels are the hidden ones
  // The same prompts with the answers that are not preferred; `text` has those that are.
  std::optional<Tokens> rejected{};
  std::optional<Images> second{};  // the right picture where `images` has the left one
  at::Tensor labels;               // [B] int64: the right class of each row; may be undefined
  at::Tensor
      scores;  // [B, C] float32: what each answer of a closed list is worth; may be undefined
  // Answers to the questions in `text`, a row each, A in all: whose they are and what they count.
  std::optional<Tokens> answers{};
  at::Tensor answer_rows;     // [A] int64: the question's row
  at::Tensor answer_weights;  // [A] float32
  // Texts of other pictures, N for each row: [B N, T], row i's from i N on.
  std::optional<Tokens> others{};

  std::int64_t size() const { return static_cast<std::int64_t>(positions.size()); }
};

// Visits every defined tensor.
void each_tensor(Batch& batch, const std::function<void(at::Tensor&)>& visit);
// Every defined tensor moved in one call; from pinned memory without waiting.
Batch to(const Batch& batch, const at::Device& device);
Batch pin(Batch batch);
// Bytes of all its tensors.
std::int64_t bytes_of(const Batch& batch);

// On which side of a text padding stands: on the left where a decoder writes on behind it.
enum class Padding { right, left };

// Stacks examples (Batches of one) along the first dimension; tokens are padded with `pad_id` to
// the longest, pictures that have a mask with zeros to the largest; answer_rows and
// the rows of pictures go on counting (an example without pictures then adds none).
// Throws Error(data) naming the part when shapes disagree.
Batch collate(const std::vector<Batch>& examples, std::int64_t pad_id,
              Padding padding = Padding::right);

}  // namespace tandem
