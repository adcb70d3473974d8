#include "text/directory.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "tandem/base/encode.h"
#include "tandem/base/error.h"
#include "text/byte_level.h"
#include "text/recipe.h"
#include "text/side_files.h"
#include "text/special_token.h"
#include "text/unicode.h"

namespace tandem::text {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr const char* kClipFile = "bpe_simple_vocab_16e6.txt.gz";
constexpr std::size_t kMaxInflated = std::size_t{1} << 26;

[[noreturn]] void fail(const std::string& where, const std::string& expected,
                       const std::string& got, const std::string& hint = "") {
  throw Error(ErrorKind::data, "[text] expected " + expected + "; got " + got, where, hint);
}

json parsed(const char* text) { return json::parse(text); }

json document_of(const Recipe& recipe) {
  return {{"version", "1.0"},
          {"normalizer", parsed(recipe.normalizer)},
          {"pre_tokenizer", parsed(recipe.pre_tokenizer)},
          {"decoder", parsed(recipe.decoder)}};
}

std::vector<SideFiles::Default> defaults_of(const Names& names) {
  return {names.begin(), names.end()};
}

// The marks around a text, by name.
void set_marks(Found& found, const Vocabulary& vocabulary, const Names& before,
               const Names& after) {
  json single = json::array(), specials = json::object();
  const auto add = [&](const std::string& mark) {
    std::int64_t id = vocabulary.find(mark);
    for (const json& token : found.document["added_tokens"]) {
      if (token["content"] == mark) id = token["id"].get<std::int64_t>();
    }
    if (id < 0) fail(found.name, "the mark '" + mark + "' among the tokens", "none");
    single.push_back({{"SpecialToken", {{"id", mark}, {"type_id", 0}}}});
    specials[mark] = {{"id", mark}, {"ids", {id}}, {"tokens", {mark}}};
  };
  for (const std::string& mark : before) add(mark);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const std::string& mark : after) add(mark);
  found.document["post_processor"] = {{"type", "TemplateProcessing"},
                                      {"single", single},
                                      {"pair", json::array()},
                                      {"special_tokens", specials}};
}

// f(line, number from 1) without the ends of lines; not for an empty last line.
template <class F>
void each_line(std::string_view text, F&& f) {
  std::size_t number = 1;
  for (std::size_t at = 0; at < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    f(line, number);
    at = end + 1;
  }
}

json read_merges(std::string_view text, const std::string& name, std::size_t first,
                 std::size_t limit) {
  json merges = json::array();
  each_line(text, [&](std::string_view line, std::size_t number) {
    if (number < first || merges.size() >= limit || line.empty() || line.starts_with("#version")) {
      return;
    }
    const std::size_t space = line.find(' ');
    if (!valid_utf8(line) || space == 0 || space + 1 >= line.size() ||
        line.find(' ', space + 1) != std::string_view::npos) {
      fail(name + ":" + std::to_string(number), "two tokens with a space between them",
           "something else");
    }
    merges.push_back(json::array({line.substr(0, space), line.substr(space + 1)}));
  });
  return merges;
}

// ---- vocab.json and merges.txt ----

const Recipe& recipe_of(const std::string& system, const json& vocab) {
  if (system == "CLIP") return kClipRecipe;
  if (system.starts_with("Qwen2")) return kQwen2Recipe;
  if (!system.empty()) return kGpt2Recipe;
  return vocab.contains("!</w>") ? kClipRecipe : kGpt2Recipe;
}

json bpe_model(json vocab, json merges, bool clip, const std::string& unk) {
  return {{"type", "BPE"},
          {"unk_token", clip ? json(unk) : json(nullptr)},
          {"continuing_subword_prefix", ""},
          {"end_of_word_suffix", clip ? "</w>" : ""},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

Found read_vocab_and_merges(const fs::path& folder) {
  Found found;
  found.name = (folder / "vocab.json").string() + " and merges.txt";
  for (const char* name : {"vocab.json", "merges.txt"}) {
    found.files.emplace_back(name, read_tokenizer_file(folder / name));
  }
  json vocab = parse_json(found.files[0].second, (folder / "vocab.json").string());
  const std::string vocab_name = (folder / "vocab.json").string();
  const Vocabulary vocabulary{JsonNode(vocab, vocab_name)};
  json merges = read_merges(found.files[1].second, (folder / "merges.txt").string(), 1, SIZE_MAX);
  const SideFiles side(folder);
  const Recipe& recipe = recipe_of(side.system(), vocab);
  const bool clip = &recipe == &kClipRecipe;
  const bool roberta = side.system() == "Roberta" || side.system() == "Bart" ||
                       side.system() == "Longformer" || side.system() == "LED";
  const std::string end = clip || !roberta ? "<|endoftext|>" : "</s>";
  found.document = document_of(recipe);
  found.document["model"] =
      bpe_model(std::move(vocab), std::move(merges), clip, side.mark("unk_token", end));
  if (side.flag("add_prefix_space", false) &&
      found.document["pre_tokenizer"]["type"] == "ByteLevel") {
    found.document["pre_tokenizer"]["add_prefix_space"] = true;
  }
  Names defaults = recipe.marks;
  if (roberta) defaults = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
  if (side.system() == "OPT") defaults = {"<pad>", "</s>"};
  found.document["added_tokens"] = side.added_tokens(defaults_of(defaults), vocabulary);
  if (clip) {
    set_marks(found, vocabulary, {side.mark("bos_token", "<|startoftext|>")},
              {side.mark("eos_token", "<|endoftext|>")});
  } else if (roberta) {
    set_marks(found, vocabulary, {side.mark("cls_token", "<s>")}, {side.mark("sep_token", "</s>")});
  } else {
    const bool opt = side.system() == "OPT";
    Names before, after;
    if (side.flag("add_bos_token", opt)) before = {side.mark("bos_token", opt ? "</s>" : end)};
    if (side.flag("add_eos_token", false)) after = {side.mark("eos_token", opt ? "</s>" : end)};
    set_marks(found, vocabulary, before, after);
  }
  return found;
}

// ---- vocab.txt ----

Found read_word_pieces(const fs::path& path) {
  Found found;
  found.name = path.string();
  found.files.emplace_back(path.filename().string(), read_tokenizer_file(path));
  json vocab = json::object();
  each_line(found.files[0].second, [&](std::string_view line, std::size_t number) {
    if (!valid_utf8(line)) fail(found.name + ":" + std::to_string(number), "UTF-8", "other bytes");
    vocab[std::string(line)] = number - 1;
  });
  const Vocabulary vocabulary{JsonNode(vocab, found.name)};
  const SideFiles side(path.parent_path());
  found.document = document_of(kBertRecipe);
  json& normalizer = found.document["normalizer"];
  normalizer["lowercase"] = side.flag("do_lower_case", true);
  normalizer["handle_chinese_chars"] = side.flag("tokenize_chinese_chars", true);
  if (side.has("strip_accents")) normalizer["strip_accents"] = side.flag("strip_accents", true);
  found.document["model"] = {{"type", "WordPiece"},
                             {"unk_token", side.mark("unk_token", "[UNK]")},
                             {"continuing_subword_prefix", "##"},
                             {"max_input_chars_per_word", 100},
                             {"vocab", std::move(vocab)}};
  found.document["added_tokens"] = side.added_tokens(defaults_of(kBertRecipe.marks), vocabulary);
  set_marks(found, vocabulary, {side.mark("cls_token", "[CLS]")},
            {side.mark("sep_token", "[SEP]")});
  return found;
}

// ---- CLIP's bpe_simple_vocab_16e6.txt.gz ----

std::string inflated(const std::string& bytes, const std::string& name) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) fail(name, "memory to unpack it", "none");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int state = Z_OK;
  while (state == Z_OK && out.size() < kMaxInflated) {
    const std::size_t before = out.size();
    out.resize(before + (1u << 20));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = 1u << 20;
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) {
    fail(name, "a whole gzip file of at most 64 MiB",
         state == Z_OK ? "a larger one" : "one that is broken or cut off");
  }
  return out;
}

// openai/CLIP, clip/simple_tokenizer.py: letters of bytes, the same ending words, the merges in
// lines 2 to 48,895, the marks.
Found read_clip(const fs::path& path) {
  constexpr std::size_t kMerges = 49152 - 256 - 2;
  Found found;
  found.name = path.string();
  found.files.emplace_back(path.filename().string(), read_tokenizer_file(path));
  json merges = read_merges(inflated(found.files[0].second, found.name), found.name, 2, kMerges);
  std::vector<char32_t> letters(byte_letters().begin(), byte_letters().end());
  std::sort(letters.begin(), letters.end());
  json vocab = json::object();
  for (const char* suffix : {"", "</w>"}) {
    for (const char32_t letter : letters) {
      std::string token;
      append_char(token, letter);
      vocab[token + suffix] = vocab.size();
    }
  }
  for (const json& merge : merges) {
    vocab[merge[0].get<std::string>() + merge[1].get<std::string>()] = vocab.size();
  }
  for (const std::string& mark : kClipRecipe.marks) vocab[mark] = vocab.size();
  const Vocabulary vocabulary{JsonNode(vocab, found.name)};
  found.document = document_of(kClipRecipe);
  found.document["model"] = bpe_model(std::move(vocab), std::move(merges), true, "<|endoftext|>");
  const SideFiles side(path.parent_path());
  found.document["added_tokens"] = side.added_tokens(defaults_of(kClipRecipe.marks), vocabulary);
  set_marks(found, vocabulary, {kClipRecipe.marks[0]}, {kClipRecipe.marks[1]});
  return found;
}

// ---- qwen.tiktoken ----

Found read_tiktoken(const fs::path& path) {
  Found found;
  found.name = path.string();
  found.files.emplace_back(path.filename().string(), read_tokenizer_file(path));
  std::vector<std::string> tokens;
  each_line(found.files[0].second, [&](std::string_view line, std::size_t number) {
    if (line.empty()) return;
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string bytes = from_base64(line.substr(0, space)).value_or("");
    const std::string rank(line.substr(std::min(space + 1, line.size())));
    if (bytes.empty() || bytes.size() > 1024 || rank != std::to_string(tokens.size())) {
      fail(found.name + ":" + std::to_string(number),
           "a token in base64 and its rank, " + std::to_string(tokens.size()), "something else");
    }
    append_letters(tokens.emplace_back(), bytes);
  });
  if (tokens.size() < 256) fail(found.name, "a token for every byte", "fewer tokens");
  const SideFiles side(path.parent_path());
  // QwenLM/Qwen-VL, tokenization_qwen.py
  Names marks = kQwen2Recipe.marks;
  for (int i = 0; i < 205; ++i) marks.push_back("<|extra_" + std::to_string(i) + "|>");
  if (side.has_pictures()) {
    for (const char* mark : {"<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>",
                             "</img>", "<imgpad>"}) {
      marks.push_back(mark);
    }
  }
  json added = json::array();
  for (const std::string& mark : marks) {
    added.push_back(special_token(static_cast<std::int64_t>(tokens.size() + added.size()), mark));
  }
  found.document = document_of(kQwen2Recipe);
  found.document["added_tokens"] = std::move(added);
  found.model = std::make_unique<Bpe>(std::move(tokens));
  return found;
}

// ---- tokenizer.model, spiece.model ----

Found read_pieces(const fs::path& path) {
  Found found;
  found.name = path.string();
  found.files.emplace_back(path.filename().string(), read_tokenizer_file(path));
  if (!found.files[0].second.starts_with('\n')) {
    fail(found.name, "a SentencePiece model", "something else (tiktoken's lines?)",
         "use the system's tokenizer.json");
  }
  const SentencePieceFile file = read_sentencepiece(found.files[0].second, found.name);
  auto model = std::make_unique<SentencePiece>(file, found.name);
  const Vocabulary& vocabulary = model->vocabulary();
  found.sentencepiece = model.get();
  const fs::path folder = path.parent_path();
  const SideFiles side(folder);
  std::string system = side.system();
  if (system.empty()) system = path.filename() == "spiece.model" ? "T5" : "Llama";
  found.document = {{"version", "1.0"}};
  if (system == "T5" || system == "MT5") {
    std::vector<SideFiles::Default> defaults{{"<pad>"}, {"</s>"}, {"<unk>"}};
    const std::int64_t extra = side.number("extra_ids", 100, 0, 10000);
    for (std::int64_t i = 0; i < extra; ++i) {  // the last one comes first
      defaults.emplace_back("<extra_id_" + std::to_string(i) + ">",
                            vocabulary.largest() + extra - i);
    }
    found.document["added_tokens"] = side.added_tokens(defaults, vocabulary);
    set_marks(found, vocabulary, {}, {side.mark("eos_token", "</s>")});
  } else if (system == "Llama" || system == "CodeLlama") {
    found.document["added_tokens"] =
        side.added_tokens(defaults_of({"<unk>", "<s>", "</s>"}), vocabulary);
    found.every_prefix = side.flag("legacy", true);
    Names before, after;
    if (side.flag("add_bos_token", true)) before = {side.mark("bos_token", "<s>")};
    if (side.flag("add_eos_token", false)) after = {side.mark("eos_token", "</s>")};
    set_marks(found, vocabulary, before, after);
  } else {
    fail(found.name, "the SentencePiece model of Llama or T5", "that of '" + system + "'",
         "use its tokenizer.json");
  }
  found.model = std::move(model);
  return found;
}

struct Kind {
  const char* file;
  Found (*read)(const fs::path& path);
};

Found read_pair(const fs::path& path) { return read_vocab_and_merges(path.parent_path()); }

constexpr std::array kKinds = {
    Kind{"tokenizer.model", read_pieces}, Kind{"spiece.model", read_pieces},
    Kind{"qwen.tiktoken", read_tiktoken}, Kind{"vocab.json", read_pair},
    Kind{"vocab.txt", read_word_pieces},  Kind{kClipFile, read_clip}};

bool there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

}  // namespace

bool is_tokenizer_json(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return there(path / "tokenizer.json");
  const std::string name = path.filename().string();
  return path.extension() == ".json"
             ? name != "vocab.json"
             : path.extension() != ".model" && path.extension() != ".tiktoken" &&
                   path.extension() != ".txt" && path.extension() != ".gz";
}

Found read_other_files(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (path.extension() == ".model") return read_pieces(path);
    if (path.extension() == ".tiktoken") return read_tiktoken(path);
    if (path.extension() == ".gz") return read_clip(path);
    const std::string name = path.filename().string();
    if (name == "vocab.json" || name == "merges.txt") return read_pair(path);
    return read_word_pieces(path);
  }
  std::string known = "tokenizer.json";
  for (const Kind& kind : kKinds) {
    if (there(path / kind.file)) return kind.read(path / kind.file);
    known += std::string(", ") + kind.file;
  }
  fail(path.string(), "one of the files {" + known + "} (vocab.json with merges.txt)", "none",
       "name the directory of the tokenizer, or train one with `tandem data make`");
}

}  // namespace tandem::text
