// The expressions that are not ours: which text is known, and ICU for the rest.

#include <unicode/regex.h>
#include <unicode/utext.h>

#include "tandem/base/error.h"
#include "text/pattern.h"

namespace tandem::text {
namespace {

struct Known {
  const char* expression;
  Pattern::Kind kind;
};

#define TANDEM_CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define TANDEM_CLIP TANDEM_CONTRACTIONS R"(|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)"
#define TANDEM_QWEN_TAIL R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define TANDEM_QWEN_HEAD "(?i:" TANDEM_CONTRACTIONS R"()|[^\r\n\p{L}\p{N}]?\p{L}+)"

constexpr Known kKnown[] = {
    {R"(\s+)", Pattern::Kind::spaces},
    {TANDEM_CONTRACTIONS R"(| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     Pattern::Kind::gpt2},
    {TANDEM_CLIP, Pattern::Kind::clip},
    {R"(<\|startoftext\|>|<\|endoftext\|>|)" TANDEM_CLIP, Pattern::Kind::clip_marked},
    {TANDEM_QWEN_HEAD R"(|\p{N})" TANDEM_QWEN_TAIL, Pattern::Kind::qwen2},
    {TANDEM_QWEN_HEAD R"(|\p{N}{1,3})" TANDEM_QWEN_TAIL, Pattern::Kind::llama3},
};

// ICU counts a "step" about every 10,000 saved states, near a millisecond.
constexpr std::int32_t kStepsOfMatch = 1000;
constexpr std::int64_t kStepsOfText = 4000;

UBool count_steps(const void* context, std::int32_t) {
  return --*const_cast<std::int64_t*>(static_cast<const std::int64_t*>(context)) > 0;
}

[[noreturn]] void gave_up(const std::string& expression) {
  throw Error(ErrorKind::data, "[text] the expression takes too many steps on this text",
              "tokenizer pattern " + expression, "simplify the pattern or shorten the text");
}

}  // namespace

struct Pattern::Compiled {
  std::unique_ptr<icu::RegexPattern> pattern;
};

struct Pattern::Finder {
  std::string_view text;
  const std::string* expression;
  UText* utext = nullptr;
  std::unique_ptr<icu::RegexMatcher> matcher;
  std::int64_t steps_left = kStepsOfText;

  Finder() = default;
  Finder(const Finder&) = delete;
  Finder& operator=(const Finder&) = delete;
  ~Finder() {
    matcher.reset();
    utext_close(utext);
  }
};

Pattern Pattern::literal(std::string text, const std::string& where) {
  if (text.empty()) throw Error(ErrorKind::data, "[text] expected a pattern; got \"\"", where);
  Pattern made(Kind::literal);
  made.text_ = std::move(text);
  return made;
}

Pattern::Pattern(const JsonNode& node) : kind_(Kind::literal) {
  node.only({"String", "Regex"});
  const auto literal_text = node.find("String");
  const auto expression = node.find("Regex");
  if (literal_text.has_value() == expression.has_value()) {
    node.fail("{\"String\": ...} or {\"Regex\": ...}");
  }
  *this = literal_text ? literal(literal_text->string(), literal_text->where())
                       : regex(expression->string(), expression->where());
}

Pattern Pattern::regex(const std::string& expression, const std::string& where) {
  for (const Known& known : kKnown) {
    if (expression == known.expression) return Pattern(known.kind);
  }
  if (expression.empty() || expression.size() > 10000) {
    throw Error(ErrorKind::data,
                "[text] expected an expression of 1 to 10,000 bytes; got " +
                    std::to_string(expression.size()),
                where);
  }
  auto compiled = std::make_shared<Compiled>();
  UErrorCode error = U_ZERO_ERROR;
  UParseError place{};
  compiled->pattern.reset(icu::RegexPattern::compile(
      icu::UnicodeString::fromUTF8(
          icu::StringPiece(expression.data(), static_cast<std::int32_t>(expression.size()))),
      0, place, error));
  if (U_FAILURE(error) != 0) {
    throw Error(ErrorKind::data,
                "[text] expected an expression that ICU understands; got " +
                    std::string(u_errorName(error)) + " at character " +
                    std::to_string(place.offset) + " of '" + expression + "'",
                where);
  }
  Pattern made(Kind::icu);
  made.text_ = expression;
  made.compiled_ = std::move(compiled);
  return made;
}

std::shared_ptr<Pattern::Finder> Pattern::finder(std::string_view text) const {
  auto finder = std::make_shared<Finder>();
  finder->text = text;
  finder->expression = &text_;
  UErrorCode error = U_ZERO_ERROR;
  finder->utext =
      utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &error);
  finder->matcher.reset(compiled_->pattern->matcher(error));
  if (U_FAILURE(error) != 0 || finder->matcher == nullptr) gave_up(text_);
  finder->matcher->setTimeLimit(kStepsOfMatch, error);
  finder->matcher->setStackLimit(8 << 20, error);
  finder->matcher->setMatchCallback(count_steps, &finder->steps_left, error);
  finder->matcher->reset(finder->utext);
  if (U_FAILURE(error) != 0) gave_up(text_);
  return finder;
}

bool Pattern::next(Finder& finder, Match& match) {
  UErrorCode error = U_ZERO_ERROR;
  const bool found = finder.matcher->find(error) != 0;
  if (U_FAILURE(error) != 0) gave_up(*finder.expression);
  if (!found) return false;
  match.begin = static_cast<std::size_t>(finder.matcher->start64(error));
  match.end = static_cast<std::size_t>(finder.matcher->end64(error));
  return true;
}

}  // namespace tandem::text
