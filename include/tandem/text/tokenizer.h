#pragma once
// Tokenizers from `tokenizer.json` (the format of the `tokenizers` library): byte-level BPE (GPT-2,
// Qwen2), CLIP's BPE, BPE on characters (LLaMA), WordPiece (BERT), Unigram (T5). Ids equal those of
// the Python package `tokenizers`.
//
// Goals: exact ids, speed (short words come from a table of their thread: text/word_cache.h),
// linear time in the length of the text, safe on any bytes and any file. Non-goals: offsets into
// the text, pairs of texts, padding (collate pads).
//
// Ids, marks and decoded text, with special tokens and without, are compared on 100,000 strings for
// each kind and on the code points of all scripts (tests/reference/tokenizers_diff.py and
// pieces_diff.py, with `tokenizers` 0.23.3). Where we differ:
// - refused instead of read: the pre-tokenizers UnicodeScripts and FixedLength, any step behind the
//   pre-tokenizer ByteLevel, the normalizer ByteLevel, the decoder CTC, the truncation OnlySecond;
//   dropout, keys and parts that are not known, added tokens whose `id` is not the one that
//   `tokenizers` would give them (it ignores the file's), duplicate ids, an unknown token that is
//   missing, added tokens and word pieces of more than 1,024 bytes;
// - expressions other than those of pattern.h run in ICU under a limit, there in Oniguruma;
// - characters newer than Unicode 16 (text/unicode.h says which part follows which version);
// - training: WordPiece learns nothing from words of more than 100 characters, which it would take
//   as [UNK]; ties between pairs go by our ids, and the marks of byte-pair encoding have the
//   largest.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tandem::text {

// A value handle; copies share one immutable implementation, so all members may be called from
// several threads at once. A default-made one is empty: every member but `empty` throws
// Error(internal).
class Tokenizer {
 public:
  struct Impl;

  Tokenizer() = default;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  bool empty() const noexcept { return impl_ == nullptr; }

  // Ids of the text without the marks that the post-processor adds (special tokens that are
  // written in the text are found). Invalid UTF-8 is read as U+FFFD, one for each maximal wrong
  // piece, as Python's decode(errors="replace") does. Of the file's `truncation` only the direction
  // counts, in encode_with_marks: lengths are the caller's, and there are no further pieces that
  // could overlap by a stride. `padding` is collate's.
  std::vector<std::int32_t> encode(std::string_view text) const;

  // The same with the post-processor's marks (<|startoftext|> ... , [CLS] ... [SEP]), at most
  // `max_length` ids: the text is cut, the marks are kept. Error(config) when max_length cannot
  // hold the marks.
  std::vector<std::int32_t> encode_with_marks(std::string_view text, int max_length) const;

  // Text of the ids through the file's decoder. Special tokens are left out unless asked for; ids
  // that do not exist are skipped. Bytes that are no UTF-8 come back as U+FFFD.
  std::string decode(std::span<const std::int32_t> ids, bool keep_special = false) const;

  std::optional<std::int32_t> id_of(std::string_view token) const;
  std::string token_of(std::int32_t id) const;  // Error(data) when there is no such id
  std::int32_t vocab_size() const;              // added tokens included: largest id + 1

  // (file name, bytes) of every file that it was loaded from (tokenizer.json,
  // tokenizer_config.json, special_tokens_map.json, ...: those that stood beside it), so that a
  // checkpoint's folder can hold them unchanged.
  const std::vector<std::pair<std::string, std::string>>& files() const;

 private:
  const Impl& get() const;
  std::shared_ptr<const Impl> impl_;
};

// `path`: a file, or a directory that holds one of these, the first one counts: tokenizer.json;
// tokenizer.model, spiece.model (SentencePiece: LLaMA, T5); qwen.tiktoken; vocab.json with
// merges.txt (GPT-2, OPT, RoBERTa, CLIP, Qwen2); vocab.txt (BERT); bpe_simple_vocab_16e6.txt.gz
// (CLIP; the repairs of `ftfy` and of HTML's entities that the original makes first are not
// imitated). Which of the systems it is, added tokens and marks come from tokenizer_config.json,
// special_tokens_map.json, added_tokens.json and config.json beside it; without them a
// tokenizer.model is LLaMA's, a spiece.model T5's, letters that end in </w> are CLIP's. A LLaMA
// model puts its space before every piece of text between tokens unless `legacy` is false.
// Error(io) when it cannot be read; Error(data) that names file and place for anything wrong, or
// not supported, in it.
Tokenizer load_tokenizer(const std::filesystem::path& path);

// The same from the bytes of a tokenizer.json; `name` stands for the file in error messages.
Tokenizer parse_tokenizer(std::string_view json, std::string_view name);

enum class BpeKind {
  clip,  // lower-cased, "</w>" ends words, <|startoftext|> and <|endoftext|>
  gpt2,  // byte-level, <|endoftext|>
};

// Trains byte-pair merges on `lines` (Sennrich et al., arXiv:1508.07909) until the vocabulary,
// special tokens included, has `vocab_size` entries or no pair occurs twice. Deterministic: the
// most frequent pair first, ties by the smaller pair of ids. Error(config) when vocab_size is
// smaller than alphabet and special tokens.
Tokenizer train_bpe(std::span<const std::string> lines, int vocab_size, BpeKind kind);

// Trains a WordPiece vocabulary ([PAD], [UNK], [CLS], [SEP], [MASK] are ids 0 to 4) as `tokenizers`
// does: merges of the most frequent pairs, continuing pieces marked "##". Same rules and errors.
Tokenizer train_wordpiece(std::span<const std::string> lines, int vocab_size);

// Writes all `files()` into an existing folder, from which `load_tokenizer` gives the same ids.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder);

// The names of all files that `files()` may have.
std::span<const char* const> tokenizer_file_names();

// Writes the tokenizer.json (the bytes that it was loaded from, or those of its training);
// Error(config) for a tokenizer that came from other files.
void save_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path);

}  // namespace tandem::text
