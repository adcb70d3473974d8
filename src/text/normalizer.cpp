#include "text/normalizer.h"

#include "tandem/base/encode.h"

namespace tandem::text {
namespace {

constexpr std::size_t kMaxNormalizers = 64;

bool has_any(std::string_view text, std::uint32_t sets) {
  for (std::size_t at = 0; at < text.size();) {
    if ((sets_of(next_char(text, at)) & sets) != 0) return true;
  }
  return false;
}

void append_lowered(std::string_view text, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_char(text, at);
    if (c < 0x80) {
      out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c));
    } else if ((sets_of(c) & kHasLower) != 0) {
      append_lower(out, c);
    } else {
      out.append(text, begin, at - begin);
    }
  }
}

void append_without(std::string_view text, std::uint32_t sets, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if ((sets_of(next_char(text, at)) & sets) == 0) out.append(text, begin, at - begin);
  }
}

void append_cleaned(std::string_view text, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const std::uint32_t sets = sets_of(next_char(text, at));
    if ((sets & kBertControl) != 0) continue;
    if ((sets & kSpace) != 0) {
      out.push_back(' ');
    } else {
      out.append(text, begin, at - begin);
    }
  }
}

void append_spaced(std::string_view text, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool han = (sets_of(next_char(text, at)) & kHan) != 0;
    if (han) out.push_back(' ');
    out.append(text, begin, at - begin);
    if (han) out.push_back(' ');
  }
}

// What `tokenizers` calls Nmt: control characters go, odd spaces become spaces.
void append_nmt(std::string_view text, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_char(text, at);
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
        c == 0x9F) {
      continue;
    }
    if (c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
        c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD) {
      out.push_back(' ');
    } else {
      out.append(text, begin, at - begin);
    }
  }
}

std::string_view stripped(std::string_view text, bool left, bool right) {
  std::size_t begin = 0, end = text.size();
  while (left && begin < end) {
    std::size_t after = begin;
    if ((sets_of(next_char(text, after)) & kSpace) == 0) break;
    begin = after;
  }
  while (right && end > begin) {
    std::size_t before = end;
    if ((sets_of(previous_char(text, before)) & kSpace) == 0) break;
    end = before;
  }
  return text.substr(begin, end - begin);
}

}  // namespace

Normalizer::Normalizer(const JsonNode& node) { add(node); }

void Normalizer::add(const JsonNode& node) {
  if (steps_.size() > kMaxNormalizers)
    node.fail("at most " + std::to_string(kMaxNormalizers) + " steps");
  const std::string type = node.type();
  if (type == "Sequence") {
    node.only({"type", "normalizers"});
    const JsonNode parts = node.at("normalizers");
    for (std::size_t i = 0; i < parts.size(); ++i) add(parts.at(i));
  } else if (add_simple(type, node)) {
    return;
  } else if (type == "Replace") {
    node.only({"type", "pattern", "content"});
    Step step{Kind::replace};
    step.pattern.push_back(Pattern(node.at("pattern")));
    step.content = node.at("content").string();
    steps_.push_back(std::move(step));
  } else if (type == "Precompiled") {
    node.only({"type", "precompiled_charsmap"});
    Step step{Kind::precompiled};
    if (const auto map = node.find("precompiled_charsmap")) {
      const auto bytes = from_base64(map->string());
      if (!bytes) map->fail("bytes in base64");
      step.map = std::make_shared<const CharsMap>(*bytes, map->where());
    }
    if (step.map != nullptr && !step.map->empty()) steps_.push_back(std::move(step));
  } else if (type == "BertNormalizer") {
    node.only({"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    const bool lower = node.at("lowercase").boolean();
    if (node.at("clean_text").boolean()) steps_.push_back({Kind::bert_clean});
    if (node.at("handle_chinese_chars").boolean()) steps_.push_back({Kind::bert_han});
    if (node.boolean_or("strip_accents", lower)) {
      steps_.push_back({Kind::form, NormalForm::nfd});
      steps_.push_back({Kind::bert_marks});
    }
    if (lower) steps_.push_back({Kind::lowercase});
  } else {
    node.at("type").fail(
        "a normalizer of {Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, "
        "Prepend, Precompiled, Nmt, BertNormalizer}");
  }
}

bool Normalizer::add_simple(const std::string& type, const JsonNode& node) {
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    node.only({"type"});
    const bool composed = type.back() == 'C', compatible = type[2] == 'K';
    steps_.push_back({Kind::form, composed     ? compatible ? NormalForm::nfkc : NormalForm::nfc
                                  : compatible ? NormalForm::nfkd
                                               : NormalForm::nfd});
  } else if (type == "Lowercase" || type == "StripAccents" || type == "Nmt") {
    node.only({"type"});
    steps_.push_back({type == "Lowercase" ? Kind::lowercase
                      : type == "Nmt"     ? Kind::nmt
                                          : Kind::strip_accents});
  } else if (type == "Strip") {
    node.only({"type", "strip_left", "strip_right"});
    steps_.push_back({Kind::strip, NormalForm::nfc, node.at("strip_left").boolean(),
                      node.at("strip_right").boolean()});
  } else if (type == "Prepend") {
    node.only({"type", "prepend"});
    Step step{Kind::prepend};
    step.content = node.at("prepend").string();
    steps_.push_back(std::move(step));
  } else {
    return false;
  }
  return true;
}

std::string_view Normalizer::apply(const Step& step, std::string_view text, std::string& out) {
  switch (step.kind) {
    case Kind::form:
      if (!may_change(step.form, text)) return text;
      append_normal_form(step.form, text, out);
      return out;
    case Kind::lowercase:
      if (!has_any(text, kHasLower)) return text;
      append_lowered(text, out);
      return out;
    case Kind::strip_accents:
    case Kind::bert_marks: {
      const std::uint32_t sets = step.kind == Kind::bert_marks ? kBertMark : kMark;
      if (!has_any(text, sets)) return text;
      append_without(text, sets, out);
      return out;
    }
    case Kind::strip:
      return stripped(text, step.left, step.right);
    case Kind::replace:
      step.pattern[0].cut(text, [&](std::size_t begin, std::size_t end, bool is_match) {
        is_match ? out.append(step.content) : out.append(text, begin, end - begin);
      });
      return out;
    case Kind::prepend:
      if (text.empty()) return text;
      out.append(step.content).append(text);
      return out;
    case Kind::precompiled:
      append_precompiled(*step.map, text, out);
      return out;
    case Kind::nmt:
      append_nmt(text, out);
      return out;
    case Kind::bert_clean:
      if (!has_any(text, kBertControl | kSpace)) return text;
      append_cleaned(text, out);
      return out;
    case Kind::bert_han:
      if (!has_any(text, kHan)) return text;
      append_spaced(text, out);
      return out;
  }
  return text;
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer,
                                   std::string& spare) const {
  std::string* out = &buffer;
  std::string* other = &spare;
  for (const Step& step : steps_) {
    out->clear();
    text = apply(step, text, *out);
    // A step that wrote leaves its text in `out`: the next one writes into the other.
    if (text.data() == out->data()) std::swap(out, other);
  }
  return text;
}

}  // namespace tandem::text
