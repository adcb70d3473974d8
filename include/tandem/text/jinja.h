#pragma once
// Jinja templates of dialogues that stand beside a tokenizer. Nothing is rendered: one that writes
// as a template of ours is told by its marks, which are data (jinja.cpp); any other is foreign.
// Non-goal: to prove that the two write the same. What is told apart are the systems.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/text/tokenizer.h"

namespace tandem::text {

struct FoundTemplate {
  std::string file{};  // chat_template.jinja, chat_template.json or tokenizer_config.json
  std::string jinja{};
};

// The one that transformers would use of a directory's files; nullopt: there is none. Throws
// Error(data) for JSON that is none.
std::optional<FoundTemplate> jinja_beside(const Tokenizer& tokenizer);

// Those of chat_templates() that write as it does; empty: it is foreign.
std::vector<std::string> templates_like(std::string_view jinja);

}  // namespace tandem::text
