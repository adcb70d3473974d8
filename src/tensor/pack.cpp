#include "tandem/tensor/pack.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

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
    cannot_pack(name + " in all examples or in none",
                std::to_string(parts.size()) + " of " + std::to_string(samples));
  }
  for (const at::Tensor& part : parts) {
    if (part.dim() != parts[0].dim()) {
      cannot_pack(name + " of one kind", shape_text(parts[0]) + " and " + shape_text(part));
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

std::int64_t row_length(const std::optional<Tokens>& text) {
  if (!text || text->ids.dim() != 2 || text->ids.size(0) != 1 || text->ids.size(1) < 1) {
    cannot_pack("a row of text", text ? shape_text(text->ids) : "none");
  }
  return text->ids.size(1);
}

// One text of every example as one row; they are taken out of the examples. Nothing where none has
// it.
std::optional<Tokens> row_of(std::vector<Batch>& examples, std::optional<Tokens> Batch::*which,
                             const std::string& name) {
  PackedParts parts;
  Tokens row;
  std::size_t found = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    std::optional<Tokens>& text = examples[i].*which;
    if (!text) continue;
    ++found;
    row.lengths.push_back(row_length(text));
    add_text(parts, *text, static_cast<std::int64_t>(i));
    text.reset();
  }
  if (found == 0) return {};
  const auto joined = [&](const std::vector<at::Tensor>& own, const char* member) {
    return end_to_end(own, examples.size(), name + "." + member);
  };
  row.ids = joined(parts.ids, "ids");
  row.mask = joined(parts.mask, "mask");
  row.labels = joined(parts.labels, "labels");
  row.positions = joined(parts.positions, "positions");
  row.segments = joined(parts.segments, "segments");
  return row;
}

}  // namespace

std::int64_t packed_length(const Batch& example) {
  if (example.masked || example.answers || example.second || example.others) {
    cannot_pack("one text a sample, or two answers, with its pictures", "other parts");
  }
  return row_length(example.text) + (example.rejected ? row_length(example.rejected) : 0);
}

Batch pack(std::vector<Batch> examples) {
  for (const Batch& example : examples) packed_length(example);
  if (examples.empty()) return {};
  std::optional<Tokens> text = row_of(examples, &Batch::text, "text");
  std::optional<Tokens> rejected = row_of(examples, &Batch::rejected, "rejected");
  Batch batch = collate(examples, /*pad_id=*/0);  // no text is left to pad
  batch.text = std::move(text);
  batch.rejected = std::move(rejected);
  return batch;
}

}  // namespace tandem
