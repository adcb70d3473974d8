#include "text/decoder.h"

#include "text/byte_level.h"
#include "text/metaspace.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::size_t kMaxDecoders = 64;

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == std::string::npos) return;
  std::string made;
  std::size_t done = 0;
  for (std::size_t at; (at = text.find(from, done)) != std::string::npos; done = at + from.size()) {
    made.append(text, done, at - done).append(to);
  }
  text = made.append(text, done);
}

// The spaces that BERT's word pieces leave before punctuation, in `tokenizers`' order.
void clean_up(std::string& text) {
  static constexpr const char* kRules[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& rule : kRules) replace_all(text, rule[0], rule[1]);
}

std::string joined(const std::vector<std::string>& tokens, std::string_view between) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += between;
    text += tokens[i];
  }
  return text;
}

void strip(std::string& token, std::string_view character, std::int64_t start, std::int64_t stop) {
  std::size_t begin = 0, end = token.size();
  const auto width = character.size();
  while (start-- > 0 && std::string_view(token).substr(begin).starts_with(character))
    begin += width;
  // As there, the end is looked at in the whole token, also where the start took it already.
  while (stop-- > 0 && std::string_view(token).substr(0, end).ends_with(character)) end -= width;
  token = begin < end ? token.substr(begin, end - begin) : std::string();
}

// Runs of tokens like <0x41> become what their bytes say, or U+FFFD for each of them.
void join_byte_tokens(std::vector<std::string>& tokens) {
  std::vector<std::string> made;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (valid_utf8(bytes)) {
      made.push_back(bytes);
    } else {
      made.insert(made.end(), bytes.size(), "\xEF\xBF\xBD");
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    const int byte = byte_of_token(token);
    if (byte >= 0) {
      bytes.push_back(static_cast<char>(byte));
    } else {
      flush();
      made.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(made);
}

}  // namespace

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  // Rust's number parser takes a plus sign.
  const int high = token[3] == '+' ? 0 : digit(token[3]), low = digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Decoder::Decoder(const JsonNode& node) : joins_with_spaces_(false) { add(node); }

void Decoder::add(const JsonNode& node) {
  if (steps_.size() > kMaxDecoders) node.fail("at most " + std::to_string(kMaxDecoders) + " steps");
  const std::string type = node.type();
  if (type == "Sequence") {
    node.only({"type", "decoders"});
    const JsonNode parts = node.at("decoders");
    for (std::size_t i = 0; i < parts.size(); ++i) add(parts.at(i));
  } else if (type == "ByteLevel") {
    node.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    steps_.push_back({Kind::byte_level, {}, {}});
  } else if (type == "ByteFallback") {
    node.only({"type"});
    steps_.push_back({Kind::byte_fallback, {}, {}});
  } else if (type == "Metaspace") {
    const Metaspace metaspace(node);
    steps_.push_back(
        {Kind::metaspace, metaspace.mark, {}, metaspace.prepend != Metaspace::Prepend::never});
  } else if (type == "WordPiece") {
    node.only({"type", "prefix", "cleanup"});
    steps_.push_back(
        {Kind::word_piece, node.at("prefix").string(), {}, node.at("cleanup").boolean()});
  } else if (type == "BPEDecoder") {
    node.only({"type", "suffix"});
    steps_.push_back({Kind::bpe, node.at("suffix").string(), {}});
  } else if (type == "Replace") {
    node.only({"type", "pattern", "content"});
    steps_.push_back({Kind::replace, node.at("content").string(), {Pattern(node.at("pattern"))}});
  } else if (type == "Fuse") {
    node.only({"type"});
    steps_.push_back({Kind::fuse, {}, {}});
  } else if (type == "Strip") {
    node.only({"type", "content", "start", "stop"});
    const std::string content = node.at("content").string();
    if (chars_in(content) != 1) node.at("content").fail("one character");
    steps_.push_back({Kind::strip,
                      content,
                      {},
                      false,
                      node.at("start").integer(0, INT32_MAX),
                      node.at("stop").integer(0, INT32_MAX)});
  } else {
    node.at("type").fail(
        "a decoder of {Sequence, ByteLevel, ByteFallback, Metaspace, WordPiece, BPEDecoder, "
        "Replace, "
        "Fuse, Strip}");
  }
}

void Decoder::apply(const Step& step, std::vector<std::string>& tokens) {
  switch (step.kind) {
    case Kind::byte_level: {
      std::string bytes, text;
      for (const std::string& token : tokens) {
        if (!append_bytes(bytes, token)) bytes += token;
      }
      repair_utf8(bytes, text);
      tokens.clear();
      tokens.push_back(std::move(text));
      break;
    }
    case Kind::byte_fallback:
      join_byte_tokens(tokens);
      break;
    case Kind::metaspace:
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        replace_all(tokens[i], step.text, i == 0 && step.cleanup ? "" : " ");
      }
      break;
    case Kind::word_piece:
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i > 0) {
          if (tokens[i].starts_with(step.text)) {
            tokens[i].erase(0, step.text.size());
          } else {
            tokens[i].insert(0, 1, ' ');
          }
        }
        if (step.cleanup) clean_up(tokens[i]);
      }
      break;
    case Kind::bpe:
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        replace_all(tokens[i], step.text, i + 1 == tokens.size() ? "" : " ");
      }
      break;
    case Kind::replace:
      for (std::string& token : tokens) {
        std::string made;
        step.pattern[0].cut(token, [&](std::size_t begin, std::size_t end, bool is_match) {
          is_match ? made.append(step.text) : made.append(token, begin, end - begin);
        });
        token = std::move(made);
      }
      break;
    case Kind::fuse:
      tokens.assign(1, joined(tokens, ""));
      break;
    case Kind::strip:
      for (std::string& token : tokens) strip(token, step.text, step.start, step.stop);
      break;
  }
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  if (joins_with_spaces_) return joined(tokens, " ");
  for (const Step& step : steps_) apply(step, tokens);
  return joined(tokens, "");
}

}  // namespace tandem::text
