#include "text/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "text/unicode_facts.h"

namespace tandem::text {
namespace {

bool within(const std::span<const Range> ranges, char32_t c) {
  const auto it = std::lower_bound(ranges.begin(), ranges.end(), c,
                                   [](const Range& range, char32_t x) { return range.last < x; });
  return it != ranges.end() && it->first <= c;
}

std::uint32_t regex_sets(char32_t c, int type) {
  std::uint32_t sets = 0;
  const auto icu = static_cast<UChar32>(c);
  const std::uint32_t mask = U_MASK(type);
  if ((mask & U_GC_L_MASK) != 0 || within(kNewLetters, c)) sets |= kLetter;
  if ((mask & U_GC_N_MASK) != 0 || within(kNewNumbers, c)) sets |= kNumber;
  if ((mask & U_GC_N_MASK) != 0 || within(kNewNumeric, c)) sets |= kNumeric;
  if (u_isUWhiteSpace(icu)) sets |= kSpace;
  if (u_hasBinaryProperty(icu, UCHAR_ALPHABETIC) || c == 0x200C || c == 0x200D ||
      (mask & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 || within(kNewWord, c)) {
    sets |= kWord;
  }
  return sets;
}

std::uint32_t bert_sets(char32_t c, int type, int age) {
  std::uint32_t sets = 0;
  const bool known = age != 0 && age <= 8 * 16;
  const std::uint32_t mask = known ? U_MASK(type) : 0;
  const bool ascii_mark = c < 0x7F && c > 0x20 && !u_isalnum(static_cast<UChar32>(c));
  if (ascii_mark || c == 0x166D || c == 0x111C9 || (mask & U_GC_P_MASK) != 0) sets |= kPunctuation;
  const bool late_mark = c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9;
  if (((mask & U_GC_MN_MASK) != 0 && !late_mark) || c == 0x1734) sets |= kBertMark;
  const bool control = (mask & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0;
  if ((control && c != '\t' && c != '\n' && c != '\r') || c == 0 || c == 0xFFFD) {
    sets |= kBertControl;
  }
  if (within(kBertHan, c)) sets |= kHan;
  return sets;
}

const UNormalizer2* canonical() {
  static const UNormalizer2* const instance = [] {
    UErrorCode error = U_ZERO_ERROR;
    return unorm2_getNFCInstance(&error);
  }();
  return instance;
}

const UNormalizer2* compatible() {
  static const UNormalizer2* const instance = [] {
    UErrorCode error = U_ZERO_ERROR;
    return unorm2_getNFKCInstance(&error);
  }();
  return instance;
}

// Unicode 9 for normal forms: anything newer stands alone and never changes.
std::uint32_t form_sets(char32_t c, int type, int age) {
  if (age == 0 || age > 9 * 16) return 0;
  std::uint32_t sets = 0;
  const auto icu = static_cast<UChar32>(c);
  const bool late_mark = c == 0x111C9;
  if (((U_MASK(type) & U_GC_M_MASK) != 0 && !late_mark) || c == 0x1CF2 || c == 0x1CF3) {
    sets |= kMark;
  }
  const bool reorders = u_getCombiningClass(icu) != 0;
  const std::pair<UProperty, std::uint32_t> forms[] = {{UCHAR_NFC_QUICK_CHECK, kMovesNfc},
                                                       {UCHAR_NFD_QUICK_CHECK, kMovesNfd},
                                                       {UCHAR_NFKC_QUICK_CHECK, kMovesNfkc},
                                                       {UCHAR_NFKD_QUICK_CHECK, kMovesNfkd}};
  for (const auto& [property, set] : forms) {
    if (reorders || u_getIntPropertyValue(icu, property) != UNORM_YES) sets |= set | kMoved;
  }
  return sets;
}

std::uint32_t compute_sets(char32_t c) {
  const auto icu = static_cast<UChar32>(c);
  UVersionInfo version;
  u_charAge(icu, version);
  const int age = version[0] * 16 + version[1];
  const int type = u_charType(icu);
  std::uint32_t sets = regex_sets(c, type) | bert_sets(c, type, age) | form_sets(c, type, age);
  if (c == 0x130 || u_tolower(icu) != icu || within(kNewUpper, c)) sets |= kHasLower;
  return sets;
}

}  // namespace

constinit std::array<std::atomic<const detail::Page*>, 0x1100> detail::pages{};

const detail::Page& detail::make_page(std::size_t number) {
  auto page = std::make_unique<Page>();
  for (std::size_t i = 0; i < page->size(); ++i) {
    (*page)[i] = static_cast<std::uint16_t>(compute_sets(static_cast<char32_t>(number * 256 + i)));
  }
  const Page* expected = nullptr;
  // Two threads may make the same page; the first one is kept, for the life of the process.
  if (pages[number].compare_exchange_strong(expected, page.get(), std::memory_order_acq_rel)) {
    return *page.release();
  }
  return *expected;
}

char32_t previous_char(std::string_view text, std::size_t& at) noexcept {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  std::size_t forward = at;
  return next_char(text, forward);
}

void append_char(std::string& out, char32_t c) {
  char bytes[4];
  std::size_t count = 0;
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
    return;
  }
  if (c < 0x800) {
    bytes[count++] = static_cast<char>(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      bytes[count++] = static_cast<char>(0xE0 | c >> 12);
    } else {
      bytes[count++] = static_cast<char>(0xF0 | c >> 18);
      bytes[count++] = static_cast<char>(0x80 | (c >> 12 & 0x3F));
    }
    bytes[count++] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
  }
  bytes[count++] = static_cast<char>(0x80 | (c & 0x3F));
  out.append(bytes, count);
}

void append_lower(std::string& out, char32_t c) {
  if (c == 0x130) {
    out += "i\xCC\x87";
    return;
  }
  for (const Shift& shift : kNewLower) {
    if (c >= shift.first && c <= shift.last) {
      append_char(out, static_cast<char32_t>(static_cast<std::int32_t>(c) + shift.by));
      return;
    }
  }
  append_char(out, static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
}

// ---- normal forms ----

namespace {

struct Piece {
  char32_t c;
  std::uint8_t order;  // canonical combining class
};

std::uint8_t order_of(char32_t c) {
  return (sets_of(c) & kMoved) != 0 ? u_getCombiningClass(static_cast<UChar32>(c)) : 0;
}

// A starter and the marks after it, until the next starter: the only place where things move.
class Segment {
 public:
  Segment(bool compose, std::string& out) : compose_(compose), out_(out) {}

  void add(char32_t c) {
    const std::uint8_t order = order_of(c);
    if (order != 0) {
      sorted_ = sorted_ && (pieces_.empty() || pieces_.back().order <= order);
      pieces_.push_back({c, order});
      return;
    }
    settle();
    if (compose_ && pieces_.size() == 1 && pieces_[0].order == 0) {
      if (const char32_t joined = join(pieces_[0].c, c)) {
        pieces_[0].c = joined;
        return;
      }
    }
    write();
    pieces_.push_back({c, 0});
  }

  void finish() {
    settle();
    write();
  }

 private:
  static char32_t join(char32_t a, char32_t b) {
    if ((sets_of(b) & kMovesNfc) == 0) return 0;  // the second of a pair is `maybe` in NFC
    const UChar32 joined =
        unorm2_composePair(canonical(), static_cast<UChar32>(a), static_cast<UChar32>(b));
    if (joined < 0) return 0;
    UVersionInfo version;
    u_charAge(joined, version);
    return version[0] * 16 + version[1] > 9 * 16 ? 0 : static_cast<char32_t>(joined);
  }

  void settle() {
    const bool starts = !pieces_.empty() && pieces_[0].order == 0;
    if (!sorted_) {
      std::stable_sort(pieces_.begin() + (starts ? 1 : 0), pieces_.end(),
                       [](const Piece& a, const Piece& b) { return a.order < b.order; });
      sorted_ = true;
    }
    if (!compose_ || !starts || pieces_.size() < 2) return;
    std::size_t kept = 1;
    std::uint8_t last = 0;  // class of the last mark that was kept: it blocks equal ones
    for (std::size_t i = 1; i < pieces_.size(); ++i) {
      if (last < pieces_[i].order) {
        if (const char32_t joined = join(pieces_[0].c, pieces_[i].c)) {
          pieces_[0].c = joined;
          continue;
        }
      }
      last = pieces_[i].order;
      pieces_[kept++] = pieces_[i];
    }
    pieces_.resize(kept);
  }

  void write() {
    for (const Piece& piece : pieces_) append_char(out_, piece.c);
    pieces_.clear();
  }

  bool compose_;
  bool sorted_ = true;
  std::vector<Piece> pieces_;
  std::string& out_;
};

void decompose(char32_t c, bool compatibility, Segment& segment) {
  constexpr char32_t kFirst = 0xAC00, kCount = 11172, kVowels = 21, kTails = 28;
  if (c - kFirst < kCount) {
    const char32_t index = c - kFirst;
    segment.add(0x1100 + index / (kVowels * kTails));
    segment.add(0x1161 + index % (kVowels * kTails) / kTails);
    if (index % kTails != 0) segment.add(0x11A7 + index % kTails);
    return;
  }
  if ((sets_of(c) & (compatibility ? kMovesNfkd : kMovesNfd)) == 0) {
    segment.add(c);
    return;
  }
  UChar units[32];
  UErrorCode error = U_ZERO_ERROR;
  const int length = unorm2_getDecomposition(compatibility ? compatible() : canonical(),
                                             static_cast<UChar32>(c), units, 32, &error);
  if (length < 0 || U_FAILURE(error) != 0) {
    segment.add(c);
    return;
  }
  for (int i = 0; i < length;) {
    UChar32 part;
    U16_NEXT(units, i, length, part);
    segment.add(static_cast<char32_t>(part));
  }
}

}  // namespace

bool may_change(NormalForm form, std::string_view text) noexcept {
  static constexpr std::uint32_t kSets[] = {kMovesNfc, kMovesNfd, kMovesNfkc, kMovesNfkd};
  const std::uint32_t set = kSets[static_cast<int>(form)];
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
    } else if ((sets_of(next_char(text, at)) & set) != 0) {
      return true;
    }
  }
  return false;
}

void append_normal_form(NormalForm form, std::string_view text, std::string& out) {
  const bool compatibility = form == NormalForm::nfkc || form == NormalForm::nfkd;
  Segment segment(form == NormalForm::nfc || form == NormalForm::nfkc, out);
  for (std::size_t at = 0; at < text.size();) {
    decompose(next_char(text, at), compatibility, segment);
  }
  segment.finish();
}

}  // namespace tandem::text
