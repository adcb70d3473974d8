#include "tandem/text/kinds.h"

#include <nlohmann/json.hpp>

#include "tandem/base/error.h"
#include "text/special_token.h"

namespace tandem::text {

namespace {

// Kinds that are gpt2 with marks of their own behind it: those of chat templates and pictures.
struct Marked {
  const char* kind;
  std::vector<std::string> marks;
};

const std::vector<Marked>& marked_kinds() {
  static const std::vector<Marked> kinds{
      {"vicuna", {"<unk>", "<s>", "</s>", "<pad>", "<image>"}},
      {"qwen",
       {"<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
        "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
        "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"}},
      {"qwen1",
       {"<|im_start|>", "<|im_end|>", "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>",
        "<img>", "</img>", "<imgpad>"}}};
  return kinds;
}

Tokenizer train_marked(const Marked& kind, std::span<const std::string> lines, int vocab_size) {
  const Tokenizer plain =
      train_bpe(lines, vocab_size - static_cast<int>(kind.marks.size()), BpeKind::gpt2);
  for (const auto& [name, bytes] : plain.files()) {
    if (name != "tokenizer.json") continue;
    nlohmann::json document = nlohmann::json::parse(bytes);
    std::int32_t id = plain.vocab_size();
    for (const std::string& mark : kind.marks) {
      document["added_tokens"].push_back(special_token(id++, mark));
    }
    return parse_tokenizer(document.dump(), "trained tokenizer");
  }
  throw Error(ErrorKind::internal, "[text] a trained tokenizer without a file");
}

}  // namespace

std::vector<std::string> tokenizer_kinds() {
  return {"clip", "gpt2", "qwen", "qwen1", "vicuna", "wordpiece"};
}

Tokenizer train_tokenizer(std::string_view kind, std::span<const std::string> lines,
                          int vocab_size) {
  for (const Marked& marked : marked_kinds()) {
    if (kind == marked.kind) return train_marked(marked, lines, vocab_size);
  }
  if (kind == "clip") return train_bpe(lines, vocab_size, BpeKind::clip);
  if (kind == "gpt2") return train_bpe(lines, vocab_size, BpeKind::gpt2);
  if (kind == "wordpiece") return train_wordpiece(lines, vocab_size);
  throw Error(ErrorKind::config,
              "[text] expected a kind of clip, gpt2, qwen, qwen1, vicuna, wordpiece; got '" +
                  std::string(kind) + "'");
}

Tokenizer stand_in_tokenizer(std::string_view kind) {
  std::vector<std::string> letters;
  for (char c = 'a'; c <= 'z'; ++c) letters.emplace_back(2, c);
  const std::size_t size = kind == "wordpiece" ? 30522 : kind == "clip" ? 49408 : 50257;
  const Tokenizer small = train_tokenizer(kind, letters, 600);
  for (const auto& [name, bytes] : small.files()) {
    if (name != "tokenizer.json") continue;
    nlohmann::json document = nlohmann::json::parse(bytes);
    nlohmann::json& vocabulary = document["model"]["vocab"];
    std::vector<nlohmann::json*> marks;  // behind the words, where they are none themselves
    for (nlohmann::json& token : document["added_tokens"]) {
      if (!vocabulary.contains(token["content"].get<std::string>())) marks.push_back(&token);
    }
    std::size_t id = vocabulary.size();
    for (; id + marks.size() < size; ++id) {
      vocabulary["[unused" + std::to_string(id) + "]"] = id;
    }
    for (nlohmann::json* mark : marks) (*mark)["id"] = id++;
    return parse_tokenizer(document.dump(), "the stand-in");
  }
  throw Error(ErrorKind::internal, "[text] a trained tokenizer without a file");
}

}  // namespace tandem::text
