#include "tandem/tensor/pack.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <string>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/tensor/shape.h"

namespace tandem {
namespace {

[[noreturn]] void cannot_pack(const std::string& expected, const std::string& got) {
  throw Error(ErrorKind::data, "[pack] expected " + expected + "; got " + got);
}

struct PackedParts {
  std::vector<at::Tensor> ids{}, mask{}, labels{}, positions{}, segments{};
};

at::Tensor end_to_end(const std::vector<at::Tensor>& parts, std::size_t samples,
                      const std::string& name) {
  if (parts.empty()) return {};
  if (parts.size() != samples) {
    cannot_pack("text." + name + " in all examples or in none",
                std::to_string(parts.size()) + " of " + std::to_string(samples));
  }
  for (const at::Tensor& part : parts) {
    if (part.dim() != parts[0].dim()) {
      cannot_pack("text." + name + " of one kind",
                  shape_text(parts[0]) + " and " + shape_text(part));
    }
  }
  return at::cat(parts, -1);
}

void add_text(PackedParts& parts, const Tokens& text, std::int64_t segment) {
  const std::int64_t length = text.ids.size(1);
  parts.ids.push_back(text.ids);
  if (text.mask.defined()) parts.mask.push_back(text.mask);
  if (text.labels.defined()) {
    at::Tensor labels = text.labels.clone();
    labels.select(1, 0).fill_(-100);
    parts.labels.push_back(labels);
  }
  parts.positions.push_back(text.positions.defined()
                                ? text.positions
                                : at::arange(length, text.ids.options()).unsqueeze(0));
  parts.segments.push_back(at::full({1, length}, segment, text.ids.options()));
}

}  // namespace

std::int64_t packed_length(const Batch& example) {
  if (!example.text || example.text->ids.dim() != 2 || example.text->ids.size(0) != 1 ||
      example.text->ids.size(1) < 1) {
    cannot_pack("a row of text", example.text ? shape_text(example.text->ids) : "none");
  }
  if (example.rejected) cannot_pack("one text a sample", "a preferred answer and a rejected one");
  if (example.masked || example.answers || example.second) {
    cannot_pack("one text a sample with its pictures", "other parts");
  }
  return example.text->ids.size(1);
}

Batch pack(std::vector<Batch> examples) {
  PackedParts parts;
  Tokens row;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    row.lengths.push_back(packed_length(examples[i]));
    add_text(parts, *examples[i].text, static_cast<std::int64_t>(i));
    examples[i].text.reset();
  }
  if (examples.empty()) return {};
  row.ids = end_to_end(parts.ids, examples.size(), "ids");
  row.mask = end_to_end(parts.mask, examples.size(), "mask");
  row.labels = end_to_end(parts.labels, examples.size(), "labels");
  row.positions = end_to_end(parts.positions, examples.size(), "positions");
  row.segments = end_to_end(parts.segments, examples.size(), "segments");
  Batch batch = collate(examples, /*pad_id=*/0);  // no text is left to pad
  batch.text = std::move(row);
  return batch;
}

}  // namespace tandem
