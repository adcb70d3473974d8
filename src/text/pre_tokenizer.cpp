#include "text/pre_tokenizer.h"

#include "text/unicode.h"

namespace tandem::text {
namespace {

constexpr std::size_t kMaxPreTokenizers = 64;  // also bounds how deep `cut` calls itself

// f(begin, end, is_match) for a text of which single characters match.
template <class Matches, class F>
void cut_chars(std::string_view text, Matches&& matches, F&& f) {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (!matches(sets_of(next_char(text, at)))) continue;
    if (done != begin) f(done, begin, false);
    f(begin, at, true);
    done = at;
  }
  if (done != text.size()) f(done, text.size(), false);
}

// \w+|[^\w\s]+
template <class F>
void cut_words(std::string_view text, F&& f) {
  std::size_t begin = 0;
  std::uint32_t inside = kSpace;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t here = at;
    const std::uint32_t now = sets_of(next_char(text, at)) & (kWord | kSpace);
    if (now != inside) {
      if (inside != kSpace && begin != here) f(text.substr(begin, here - begin));
      begin = here;
      inside = now;
    }
  }
  if (inside != kSpace && begin != text.size()) f(text.substr(begin));
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonNode& node) { add(node); }

PreTokenizer::Behavior PreTokenizer::read_behavior(const JsonNode& node) {
  const std::string name = node.string();
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::with_previous;
  if (name == "MergedWithNext") return Behavior::with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  node.fail("one of {Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous}");
}

void PreTokenizer::add(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") {
    node.only({"type", "pretokenizers"});
    const JsonNode parts = node.at("pretokenizers");
    for (std::size_t i = 0; i < parts.size(); ++i) add(parts.at(i));
    return;
  }
  if (steps_.size() >= kMaxPreTokenizers)
    node.fail("at most " + std::to_string(kMaxPreTokenizers) + " steps");
  if (byte_level()) node.fail("no step behind ByteLevel");
  if (type == "Split") {
    add_split(node);
  } else if (type == "CharDelimiterSplit") {
    node.only({"type", "delimiter"});
    Step step{Kind::split};
    step.pattern = Pattern::literal(node.at("delimiter").string(), node.at("delimiter").where());
    step.behavior = Behavior::removed;
    steps_.push_back(step);
  } else if (type == "Metaspace") {
    Step step{Kind::metaspace};
    step.metaspace = std::make_shared<const Metaspace>(node);
    steps_.push_back(step);
  } else if (type == "ByteLevel") {
    add_byte_level(node);
  } else if (type == "Whitespace" || type == "WhitespaceSplit" || type == "BertPreTokenizer") {
    node.only({"type"});
    steps_.push_back({type == "Whitespace"        ? Kind::whitespace
                      : type == "WhitespaceSplit" ? Kind::whitespace_split
                                                  : Kind::bert});
  } else if (type == "Punctuation") {
    node.only({"type", "behavior"});
    Step step{Kind::punctuation};
    if (const auto behavior = node.find("behavior")) step.behavior = read_behavior(*behavior);
    steps_.push_back(step);
  } else if (type == "Digits") {
    node.only({"type", "individual_digits"});
    Step step{Kind::digits};
    if (!node.at("individual_digits").boolean()) step.behavior = Behavior::contiguous;
    steps_.push_back(step);
  } else {
    node.at("type").fail(
        "a pre-tokenizer of {Sequence, Split, CharDelimiterSplit, Whitespace, WhitespaceSplit, "
        "BertPreTokenizer, Punctuation, Digits, Metaspace, ByteLevel}");
  }
}

void PreTokenizer::add_split(const JsonNode& node) {
  node.only({"type", "pattern", "behavior", "invert"});
  Step step{Kind::split};
  step.pattern = Pattern(node.at("pattern"));
  step.behavior = read_behavior(node.at("behavior"));
  step.invert = node.at("invert").boolean();
  steps_.push_back(step);
}

void PreTokenizer::add_byte_level(const JsonNode& node) {
  node.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  Step step{Kind::byte_level};
  step.prefix_space = node.at("add_prefix_space").boolean();
  step.use_regex = node.boolean_or("use_regex", true);
  // CLIP's pieces are single words already: GPT-2's expression would leave each of them as it is.
  const bool words = !steps_.empty() && steps_.back().pattern.kind() == Pattern::Kind::clip &&
                     steps_.back().behavior == Behavior::removed && steps_.back().invert;
  if (words && !step.prefix_space) step.use_regex = false;
  steps_.push_back(step);
}

// What a behavior makes of pieces that match and pieces that do not; one waits for its neighbour.
template <class F>
class PreTokenizer::Pieces {
 public:
  Pieces(std::string_view text, Behavior behavior, bool invert, const F& word)
      : text_(text), behavior_(behavior), invert_(invert), word_(word) {}

  void operator()(std::size_t begin, std::size_t end, bool match) {
    match = match != invert_;
    const std::string_view now = text_.substr(begin, end - begin);
    if (behavior_ == Behavior::isolated || behavior_ == Behavior::removed) {
      if (behavior_ == Behavior::isolated || !match) word_(now);
      return;
    }
    if (held_.data() != nullptr && joins(match)) {
      held_ = std::string_view(held_.data(), held_.size() + now.size());
    } else {
      word_(held_);
      held_ = now;
    }
    held_match_ = match;
  }

  void finish() const { word_(held_); }

 private:
  bool joins(bool match) const {
    if (behavior_ == Behavior::contiguous) return match == held_match_;
    return match != held_match_ && match == (behavior_ == Behavior::with_previous);
  }

  std::string_view text_, held_;
  Behavior behavior_;
  bool invert_, held_match_ = false;
  const F& word_;
};

void PreTokenizer::cut(std::size_t index, std::string_view text, bool first,
                       const Sink& sink) const {
  if (steps_.empty()) return sink(text);
  const Step& step = steps_[index];
  const auto word = [&](std::string_view piece) {
    pass(index, piece, first && piece.data() == text.data(), sink);
  };
  Pieces pieces(text, step.behavior, step.invert, word);
  switch (step.kind) {
    case Kind::split:
      step.pattern.cut(text, pieces);
      break;
    case Kind::whitespace:
      return cut_words(text, word);
    case Kind::whitespace_split:
    case Kind::bert:
      return cut_chars(
          text,
          [&](std::uint32_t sets) {
            return (sets & (step.kind == Kind::bert ? kSpace | kPunctuation : kSpace)) != 0;
          },
          [&](std::size_t begin, std::size_t end, bool match) {
            std::size_t at = begin;
            if (match && (sets_of(next_char(text, at)) & kSpace) != 0) return;
            word(text.substr(begin, end - begin));
          });
    case Kind::punctuation:
      cut_chars(
          text, [](std::uint32_t sets) { return (sets & kPunctuation) != 0; }, pieces);
      break;
    case Kind::digits:
      cut_chars(
          text, [](std::uint32_t sets) { return (sets & kNumeric) != 0; }, pieces);
      break;
    case Kind::metaspace:
      return cut_marked(index, text, first, sink);
    case Kind::byte_level:
      return cut_bytes(step, text, sink);
  }
  pieces.finish();
}

void PreTokenizer::cut_marked(std::size_t index, std::string_view text, bool first,
                              const Sink& sink) const {
  const Metaspace& metaspace = *steps_[index].metaspace;
  const std::string_view mark = metaspace.mark;
  std::string marked;
  marked.reserve(text.size() + text.size() / 2 + mark.size());
  const bool prepends = metaspace.prepend == Metaspace::Prepend::always ||
                        (metaspace.prepend == Metaspace::Prepend::first && first);
  if (prepends && text.front() != ' ' && !text.starts_with(mark)) marked += mark;
  for (const char c : text) c == ' ' ? marked.append(mark) : marked.append(1, c);
  const std::string_view whole = marked;
  if (!metaspace.split) return pass(index, whole, first, sink);
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t end = std::min(whole.find(mark, at + 1), whole.size());
    pass(index, whole.substr(at, end - at), first && at == 0, sink);
    at = end;
  }
}

void PreTokenizer::cut_bytes(const Step& step, std::string_view text, const Sink& sink) const {
  std::string spaced;
  if (step.prefix_space && text.front() != ' ') {
    spaced.reserve(text.size() + 1);
    text = spaced.append(1, ' ').append(text);
  }
  if (!step.use_regex) return sink(text);
  step.pattern.cut(text, [&](std::size_t begin, std::size_t end, bool) {
    sink(text.substr(begin, end - begin));
  });
}

}  // namespace tandem::text
