#include "text/model.h"

namespace tandem::text {

WordLevel::WordLevel(const JsonNode& node) : Model(Vocabulary(node.at("vocab"))) {
  node.only({"type", "vocab", "unk_token"});
  unk_ = vocabulary().find(node.at("unk_token").string());
  if (unk_ == kNoId) node.at("unk_token").fail("a token of the vocabulary");
}

void WordLevel::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const std::int32_t id = vocabulary().find(word);
  ids.push_back(id == kNoId ? unk_ : id);
}

std::unique_ptr<Model> make_model(const JsonNode& node, bool byte_level) {
  const auto type = node.find("type");
  const std::string kind = type                          ? type->string()
                           : node.find("merges")         ? "BPE"
                           : node.at("vocab").is_array() ? "Unigram"
                                                         : "WordPiece";
  if (kind == "BPE") return std::make_unique<Bpe>(node, byte_level);
  const bool known = kind == "WordPiece" || kind == "Unigram" || kind == "WordLevel";
  if (!known) type->fail("one of {BPE, WordPiece, Unigram, WordLevel}");
  if (byte_level) node.fail("a BPE model behind the pre-tokenizer ByteLevel");
  if (kind == "Unigram") return std::make_unique<Unigram>(node);
  if (kind == "WordLevel") return std::make_unique<WordLevel>(node);
  return std::make_unique<WordPiece>(node);
}

}  // namespace tandem::text
