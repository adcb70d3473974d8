#include "tandem/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>

#include "tandem/base/error.h"
#include "text/directory.h"
#include "text/impl.h"
#include "text/side_files.h"
#include "text/word_cache.h"

namespace tandem::text {
namespace {

constexpr std::array kFiles = {"tokenizer.json",
                               "tokenizer_config.json",
                               "special_tokens_map.json",
                               "added_tokens.json",
                               "vocab.json",
                               "merges.txt",
                               "vocab.txt",
                               "tokenizer.model",
                               "spiece.model",
                               "qwen.tiktoken",
                               "bpe_simple_vocab_16e6.txt.gz",
                               "chat_template.jinja",
                               "chat_template.json"};

// Whether a text loses its begin. `max_length` is the caller's here; `stride` is how much the
// pieces behind the first one repeat, and only the first one is given.
bool reads_cut_left(const JsonNode& node) {
  node.only({"direction", "max_length", "strategy", "stride"});
  for (const char* number : {"max_length", "stride"}) {
    if (const auto found = node.find(number)) found->integer(0, INT64_MAX);
  }
  if (const auto strategy = node.find("strategy")) {
    const std::string which = strategy->string();
    // OnlySecond leaves a single text as long as it is, or fails.
    if (which != "LongestFirst" && which != "OnlyFirst") {
      strategy->fail("\"LongestFirst\" or \"OnlyFirst\" (there are no pairs of texts)");
    }
  }
  const auto direction = node.find("direction");
  const std::string name = direction ? direction->string() : "Right";
  if (name != "Left" && name != "Right") direction->fail("\"Left\" or \"Right\"");
  return name == "Left";
}

// `found`: what is no tokenizer.json, with its own model or ids.
std::shared_ptr<Tokenizer::Impl> build(const nlohmann::json& document, const std::string& name,
                                       Found* found) {
  const JsonNode root(document, name);
  root.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
             "post_processor", "decoder", "model"});
  if (const auto version = root.find("version")) {
    if (version->string() != "1.0") version->fail("\"1.0\"");
  }
  auto impl = std::make_shared<Tokenizer::Impl>();
  if (const auto node = root.find("truncation")) impl->cut_left = reads_cut_left(*node);
  if (const auto node = root.find("normalizer")) impl->normalizer = Normalizer(*node);
  if (const auto node = root.find("pre_tokenizer")) impl->pre_tokenizer = PreTokenizer(*node);
  if (found != nullptr && found->model != nullptr) {
    impl->model = std::move(found->model);
    impl->sentencepiece = found->sentencepiece;
    impl->every_prefix = found->every_prefix;
  } else {
    impl->model = make_model(root.at("model"), impl->pre_tokenizer.byte_level());
  }
  if (const auto node = root.find("added_tokens")) {
    const auto ids = found != nullptr ? AddedTokens::Ids::given : AddedTokens::Ids::counted;
    impl->added = AddedTokens(*node, impl->model->vocabulary(), impl->normalizer, ids);
  }
  impl->vocab_size = std::max(impl->model->vocabulary().largest(), impl->added.largest()) + 1;
  if (const auto node = root.find("post_processor")) {
    impl->marks = read_marks(*node, impl->vocab_size);
  }
  if (const auto node = root.find("decoder")) impl->decoder = Decoder(*node);
  return impl;
}

std::shared_ptr<Tokenizer::Impl> parse(std::string_view bytes, const std::string& name) {
  auto impl = build(parse_json(bytes, name), name, nullptr);
  impl->files.emplace_back("tokenizer.json", bytes);
  return impl;
}

}  // namespace

std::uint32_t Tokenizer::Impl::next_number() {
  static std::atomic<std::uint32_t> last{0};
  return ++last;
}

void Tokenizer::Impl::encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.size() > WordCache::kMaxWord) return model->encode(word, ids);
  bool hit = false;
  WordCache::Entry& entry = WordCache::here().at(word, number, hit);
  if (hit) {
    ids.insert(ids.end(), entry.ids.begin(), entry.ids.begin() + entry.count);
    return;
  }
  const std::size_t before = ids.size();
  model->encode(word, ids);
  const std::size_t count = ids.size() - before;
  if (count > WordCache::kMaxIds) return;
  std::copy(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end(), entry.ids.begin());
  entry.count = static_cast<std::uint32_t>(count);
  entry.owner = number;
}

void Tokenizer::Impl::encode_piece(std::string_view text, bool first,
                                   const PreTokenizer::Sink& word,
                                   std::vector<std::int32_t>& ids) const {
  if (sentencepiece != nullptr) {
    sentencepiece->encode_text(text, first || every_prefix, ids);
  } else {
    pre_tokenizer.cut(text, first, word);
  }
}

void Tokenizer::Impl::encode(std::string_view text, std::size_t limit,
                             std::vector<std::int32_t>& ids) const {
  std::string repaired, buffer, spare;
  if (!valid_utf8(text)) {
    repair_utf8(text, repaired);
    text = repaired;
  }
  const PreTokenizer::Sink word = [&](std::string_view piece) {
    if (ids.size() < limit) encode_word(piece, ids);
  };
  added.cut_raw(text, [&](std::string_view raw, std::int32_t raw_id) {
    if (ids.size() >= limit) return;
    if (raw_id != kNoId) {
      ids.push_back(raw_id);
      return;
    }
    const std::string_view normalized = normalizer.apply(raw, buffer, spare);
    added.cut_normalized(normalized, [&](std::string_view piece, std::int32_t id) {
      const bool first = piece.data() == normalized.data() && raw.data() == text.data();
      id != kNoId ? ids.push_back(id) : encode_piece(piece, first, word, ids);
    });
  });
}

std::string Tokenizer::Impl::decode_pieces(std::span<const std::int32_t> ids,
                                           bool keep_special) const {
  SentencePiece::Decoding decoding(*sentencepiece);
  for (const std::int32_t id : ids) {
    const auto other = added.content(id);
    if (other && !keep_special && added.is_special(*other)) continue;
    if (other && !sentencepiece->is_unknown(id)) {
      decoding.other(*other);
    } else if (model->vocabulary().token(id)) {
      decoding.piece(id);
    }
  }
  return decoding.finish();
}

std::optional<std::string_view> Tokenizer::Impl::token(std::int32_t id) const {
  const auto found = added.token(id);
  return found ? found : model->vocabulary().token(id);
}

const Tokenizer::Impl& Tokenizer::get() const {
  TANDEM_CHECK(impl_ != nullptr, "an empty tokenizer was used");
  return *impl_;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  get().encode(text, SIZE_MAX, ids);
  return ids;
}

std::vector<std::int32_t> Tokenizer::encode_with_marks(std::string_view text,
                                                       int max_length) const {
  const Marks& marks = get().marks;
  if (max_length < 0 || static_cast<std::size_t>(max_length) < marks.size()) {
    throw Error(ErrorKind::config, "[text] expected room for " + std::to_string(marks.size()) +
                                       " marks; got a length of " + std::to_string(max_length));
  }
  const std::size_t limit = static_cast<std::size_t>(max_length) - marks.after.size();
  std::vector<std::int32_t> ids = marks.before;
  get().encode(text, get().cut_left ? SIZE_MAX : limit, ids);
  if (ids.size() > limit) {
    const auto text_begin = ids.begin() + static_cast<std::ptrdiff_t>(marks.before.size());
    const auto extra = static_cast<std::ptrdiff_t>(ids.size() - limit);
    get().cut_left ? ids.erase(text_begin, text_begin + extra)
                   : ids.erase(ids.end() - extra, ids.end());
  }
  ids.insert(ids.end(), marks.after.begin(), marks.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool keep_special) const {
  if (get().sentencepiece != nullptr) return get().decode_pieces(ids, keep_special);
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    const auto token = get().token(id);
    if (!token || (!keep_special && get().added.is_special(*token))) continue;
    tokens.emplace_back(*token);
  }
  return get().decoder.decode(std::move(tokens));
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  std::int32_t id = get().added.find(token);
  if (id == kNoId) id = get().model->vocabulary().find(token);
  return id == kNoId ? std::nullopt : std::optional<std::int32_t>(id);
}

std::string Tokenizer::token_of(std::int32_t id) const {
  auto token = get().added.content(id);
  if (!token) token = get().model->vocabulary().token(id);
  if (!token) {
    throw Error(ErrorKind::data, "[text] expected an id of the vocabulary, below " +
                                     std::to_string(get().vocab_size) + "; got " +
                                     std::to_string(id));
  }
  return std::string(*token);
}

std::int32_t Tokenizer::vocab_size() const { return get().vocab_size; }

const std::vector<std::pair<std::string, std::string>>& Tokenizer::files() const {
  return get().files;
}

std::span<const char* const> tokenizer_file_names() { return kFiles; }

Tokenizer load_tokenizer(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path folder = path;
  std::shared_ptr<Tokenizer::Impl> impl;
  if (is_tokenizer_json(path)) {
    const bool inside = std::filesystem::is_directory(path, error);
    const std::filesystem::path file = inside ? path / "tokenizer.json" : path;
    impl = parse(read_tokenizer_file(file), file.string());
  } else {
    Found found = read_other_files(path);
    impl = build(found.document, found.name, &found);
    impl->files = std::move(found.files);
  }
  if (!std::filesystem::is_directory(path, error)) folder = path.parent_path();
  // What a hub's directory has beside it; for the programs that read a checkpoint's folder.
  for (const std::string name : kFiles) {
    const bool known = std::any_of(impl->files.begin(), impl->files.end(),
                                   [&](const auto& file) { return file.first == name; });
    if (known || name == "tokenizer.json") continue;
    const std::filesystem::path beside = folder / name;
    if (std::filesystem::is_regular_file(beside, error)) {
      impl->files.emplace_back(name, read_tokenizer_file(beside));
    }
  }
  return Tokenizer(std::move(impl));
}

Tokenizer parse_tokenizer(std::string_view json, std::string_view name) {
  return Tokenizer(parse(json, std::string(name)));
}

void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder) {
  for (const auto& [name, bytes] : tokenizer.files()) {
    std::ofstream out(folder / name, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) {
      throw Error(ErrorKind::io, "[text] expected to write the file; got an error",
                  (folder / name).string());
    }
  }
}

void save_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path) {
  const auto& [name, bytes] = tokenizer.files().front();
  if (name != "tokenizer.json") {
    throw Error(ErrorKind::config, "[text] expected a tokenizer.json; got " + name, path.string());
  }
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out)
    throw Error(ErrorKind::io, "[text] expected to write the file; got an error", path.string());
}

}  // namespace tandem::text
