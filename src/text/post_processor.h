#pragma once
// The marks that go around a text.

#include <cstdint>
#include <vector>

#include "text/json_node.h"

namespace tandem::text {

struct Marks {
  std::vector<std::int32_t> before, after;
  std::size_t size() const { return before.size() + after.size(); }
};

// Of a single text: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which moves
// offsets only), Sequence; any other, and ids of `vocab_size` and more: Error(data).
Marks read_marks(const JsonNode& node, std::int32_t vocab_size);

}  // namespace tandem::text
