#include <algorithm>
#include <functional>

#include "tandem/base/error.h"
#include "text/byte_level.h"
#include "text/model.h"
#include "text/unicode.h"

namespace tandem::text {

Bpe::Bpe(const JsonNode& node, bool byte_level)
    : Model(Vocabulary(node.at("vocab"))), byte_level_(byte_level) {
  node.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
             "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (const auto dropout = node.find("dropout")) {
    if (!dropout->value().is_number() || dropout->value().get<double>() != 0) {
      dropout->fail("no dropout");
    }
  }
  if (node.boolean_or("byte_fallback", false)) node.at("byte_fallback").fail("false");
  fuse_unk_ = node.boolean_or("fuse_unk", false);
  ignore_merges_ = node.boolean_or("ignore_merges", false);
  if (const auto prefix = node.find("continuing_subword_prefix")) prefix_ = prefix->string();
  if (const auto suffix = node.find("end_of_word_suffix")) suffix_ = suffix->string();
  const auto unk = node.find("unk_token");
  if (unk) unk_ = vocabulary().find(unk->string());
  read_merges(node.at("merges"));
  const bool complete = byte_level_ && make_byte_table();
  if (unk && unk_ == kNoId && !complete) unk->fail("a token of the vocabulary");
}

void Bpe::read_merges(const JsonNode& node) {
  merges_ = FlatMap(node.size());
  std::size_t rank = 0;
  for (const auto& merge : node.value()) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      add_merge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(),
                rank, node);
    } else if (merge.is_string()) {  // "a b", as files had it before 2024
      const std::string_view text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        node.at(rank).fail("two tokens and one space");
      }
      add_merge(text.substr(0, space), text.substr(space + 1), rank, node);
    } else {
      node.at(rank).fail("[\"left\", \"right\"]");
    }
    ++rank;
  }
}

void Bpe::add_merge(std::string_view a, std::string_view b, std::size_t rank,
                    const JsonNode& merges) {
  const std::int32_t left = vocabulary().find(a), right = vocabulary().find(b);
  // A merge has to make a longer token: else it could go on for ever.
  if (left == kNoId || right == kNoId || b.size() <= prefix_.size()) {
    merges.at(rank).fail("two tokens of the vocabulary");
  }
  const std::string joined = std::string(a) + std::string(b.substr(prefix_.size()));
  const std::int32_t made = vocabulary().find(joined);
  if (made == kNoId) merges.at(rank).fail("tokens whose union is in the vocabulary");
  merges_.set(static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right),
              static_cast<std::uint64_t>(rank) << 32 | static_cast<std::uint32_t>(made));
}

bool Bpe::make_byte_table() {
  bool complete = true;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::string letter;
    append_char(letter, byte_letters()[byte]);
    for (const bool inner : {false, true}) {
      for (const bool last : {false, true}) {
        const std::string token = (inner ? prefix_ : "") + letter + (last ? suffix_ : "");
        bytes_[inner][last][byte] = vocabulary().find(token);
        complete = complete && bytes_[inner][last][byte] != kNoId;
      }
    }
  }
  return complete;
}

void Bpe::symbols(std::string_view word, std::vector<std::int32_t>& out) const {
  bool unknown = false;  // the last symbol is an unk
  std::string scratch;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    std::int32_t id;
    if (byte_level_) {
      ++at;
      id = bytes_[begin != 0][at == word.size()][static_cast<unsigned char>(word[begin])];
    } else {
      next_char(word, at);
      const bool inner = begin != 0 && !prefix_.empty();
      const bool last = at == word.size() && !suffix_.empty();
      if (inner || last) {
        scratch.assign(inner ? prefix_ : "").append(word.substr(begin, at - begin));
        if (last) scratch += suffix_;
        id = vocabulary().find(scratch);
      } else {
        id = vocabulary().find(word.substr(begin, at - begin));
      }
    }
    if (id != kNoId) {
      out.push_back(id);
      unknown = false;
    } else if (unk_ != kNoId && !(unknown && fuse_unk_)) {
      out.push_back(unk_);
      unknown = true;
    }
  }
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (ignore_merges_) {
    std::string letters;
    if (byte_level_) append_letters(letters, word);
    const std::int32_t id = vocabulary().find(byte_level_ ? std::string_view(letters) : word);
    if (id != kNoId) {
      ids.push_back(id);
      return;
    }
  }
  static thread_local std::vector<std::int32_t> scratch;
  scratch.clear();
  symbols(word, scratch);
  constexpr std::size_t kShort = 64;  // below, scanning is faster than a queue
  if (scratch.size() <= kShort) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
  ids.insert(ids.end(), scratch.begin(), scratch.end());
  if (scratch.capacity() > (1u << 16)) scratch = {};
}

void Bpe::merge_short(std::vector<std::int32_t>& symbols) const {
  std::uint64_t merges[64];  // [i] of the symbols i and i + 1
  std::size_t count = symbols.size();
  for (std::size_t i = 0; i + 1 < count; ++i) merges[i] = merge_of(symbols[i], symbols[i + 1]);
  while (count > 1) {
    const std::size_t best =
        static_cast<std::size_t>(std::min_element(merges, merges + count - 1) - merges);
    if (merges[best] == FlatMap::kNone) break;
    symbols[best] = static_cast<std::int32_t>(merges[best]);
    --count;
    for (std::size_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1];
    for (std::size_t i = best + 1; i + 1 < count; ++i) merges[i] = merges[i + 1];
    if (best > 0) merges[best - 1] = merge_of(symbols[best - 1], symbols[best]);
    if (best + 1 < count) merges[best] = merge_of(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

void Bpe::merge_long(std::vector<std::int32_t>& symbols) const {
  constexpr std::uint32_t kEnd = UINT32_MAX;
  if (symbols.size() >= kEnd) {
    throw Error(ErrorKind::data, "[text] expected a word of less than 4 Gi symbols; got more");
  }
  const auto count = static_cast<std::uint32_t>(symbols.size());
  struct Links {
    std::uint32_t previous, next;
  };
  std::vector<Links> links(count);
  std::vector<std::uint64_t> queue;  // rank << 32 | place: the smallest is merged next
  queue.reserve(count);
  const auto push = [&](std::uint32_t left, std::uint32_t right, bool sift) {
    const std::uint64_t merge = merge_of(symbols[left], symbols[right]);
    if (merge == FlatMap::kNone) return;
    queue.push_back((merge & 0xFFFFFFFF00000000ull) | left);
    if (sift) std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    links[i] = {i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1};
    if (i + 1 < count) push(i, i + 1, false);
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  while (!queue.empty()) {
    const std::uint64_t top = queue.front();
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    queue.pop_back();
    const auto place = static_cast<std::uint32_t>(top);
    if (symbols[place] == kNoId || links[place].next == kEnd) continue;
    const std::uint32_t right = links[place].next;
    const std::uint64_t merge = merge_of(symbols[place], symbols[right]);
    // An entry is out of date when the pair at its place has become another one.
    if (merge == FlatMap::kNone || merge >> 32 != top >> 32) continue;
    symbols[place] = static_cast<std::int32_t>(merge);
    symbols[right] = kNoId;
    const std::uint32_t next = links[place].next = links[right].next;
    if (next != kEnd) {
      links[next].previous = place;
      push(place, next, true);
    }
    if (links[place].previous != kEnd) push(links[place].previous, place, true);
  }
  std::erase(symbols, kNoId);
}

}  // namespace tandem::text
