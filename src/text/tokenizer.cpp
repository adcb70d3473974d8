#include "tandem/text/tokenizer.h"

#include <array>
#include <fstream>
#include <sstream>

#include "tandem/base/error.h"
#include "text/impl.h"

namespace tandem::text {
namespace {

constexpr std::uintmax_t kMaxFile = 1u << 29;

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  const std::uintmax_t size = regular ? std::filesystem::file_size(path, error) : 0;
  if (!regular || error) {
    throw Error(
        ErrorKind::io,
        "[text] expected a file; got " + (error ? error.message() : std::string("something else")),
        path.string());
  }
  if (size > kMaxFile) {
    throw Error(ErrorKind::data, "[text] expected at most 512 MiB; got " + std::to_string(size),
                path.string());
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size))) {
    throw Error(ErrorKind::io, "[text] expected " + std::to_string(size) + " bytes; got fewer",
                path.string());
  }
  return bytes;
}

std::shared_ptr<Tokenizer::Impl> parse(std::string_view bytes, const std::string& name) {
  const nlohmann::json document = parse_json(bytes, name);
  const JsonNode root(document, name);
  root.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
             "post_processor", "decoder", "model"});
  if (const auto version = root.find("version")) {
    if (version->string() != "1.0") version->fail("\"1.0\"");
  }
  auto impl = std::make_shared<Tokenizer::Impl>();
  if (const auto node = root.find("normalizer")) impl->normalizer = Normalizer(*node);
  if (const auto node = root.find("pre_tokenizer")) impl->pre_tokenizer = PreTokenizer(*node);
  impl->model = make_model(root.at("model"), impl->pre_tokenizer.byte_level());
  if (const auto node = root.find("added_tokens")) {
    impl->added = AddedTokens(*node, impl->model->vocabulary(), impl->normalizer);
  }
  impl->vocab_size = std::max(impl->model->vocabulary().largest(), impl->added.largest()) + 1;
  if (const auto node = root.find("post_processor")) {
    impl->marks = read_marks(*node, impl->vocab_size);
  }
  if (const auto node = root.find("decoder")) impl->decoder = Decoder(*node);
  impl->files.emplace_back("tokenizer.json", bytes);
  return impl;
}

}  // namespace

void Tokenizer::Impl::encode(std::string_view text, std::size_t limit,
                             std::vector<std::int32_t>& ids) const {
  std::string repaired, buffer, spare;
  if (!valid_utf8(text)) {
    repair_utf8(text, repaired);
    text = repaired;
  }
  const PreTokenizer::Sink word = [&](std::string_view piece) {
    if (ids.size() < limit) model->encode(piece, ids);
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
      id != kNoId ? ids.push_back(id) : pre_tokenizer.cut(piece, first, word);
    });
  });
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
  get().encode(text, limit, ids);
  if (ids.size() > limit) ids.resize(limit);
  ids.insert(ids.end(), marks.after.begin(), marks.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool keep_special) const {
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

Tokenizer load_tokenizer(const std::filesystem::path& path) {
  const bool folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = folder ? path / "tokenizer.json" : path;
  auto impl = parse(read_file(file), file.string());
  // What a hub's directory has beside it; for the programs that read a checkpoint's folder.
  static constexpr std::array kBeside = {"tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "vocab.txt"};
  for (const char* name : kBeside) {
    const std::filesystem::path beside = file.parent_path() / name;
    if (std::filesystem::is_regular_file(beside)) impl->files.emplace_back(name, read_file(beside));
  }
  return Tokenizer(std::move(impl));
}

Tokenizer parse_tokenizer(std::string_view json, std::string_view name) {
  return Tokenizer(parse(json, std::string(name)));
}

void save_tokenizer_json(const Tokenizer& tokenizer, const std::filesystem::path& path) {
  std::ofstream out(path, std::ios::binary);
  const std::string& bytes = tokenizer.files().front().second;
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out)
    throw Error(ErrorKind::io, "[text] expected to write the file; got an error", path.string());
}

}  // namespace tandem::text
