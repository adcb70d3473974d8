// What directories hold instead of a tokenizer.json (tests/reference/pieces_diff.py compares ids
// with the Python packages).

#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "documents.h"
#include "files.h"
#include "tandem/base/error.h"
#include "tandem/base/random.h"

namespace directory_test {

using namespace tandem;
using namespace tandem::text;
using namespace tandem::text::testing;
namespace fs = std::filesystem;

using Ids = std::vector<std::int32_t>;

namespace {

Error error_of(const fs::path& path) {
  try {
    load_tokenizer(path);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "none");
}

// ---- a SentencePiece model ----

const std::string kMark = "\u2581";

std::string pieces() {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece(kMark, -3) +
         piece("a", -4) + piece("b", -5) + piece("ab", -1) + piece(kMark + "ab", -2);
}

std::string model(int kind) { return pieces() + trainer(kind) + normalizer(true, false); }

std::string compressed(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(text.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// vocab.json and merges.txt of a byte-level vocabulary.
void write_pair(const Folder& folder) {
  const json document = byte_level({{"h", "i"}});
  folder.write("vocab.json", document["model"]["vocab"].dump());
  folder.write("merges.txt", "#version: 0.2\nh i\r\n\n");
}

}  // namespace

TEST_CASE("a folder without a tokenizer says which files it could have") {
  const Folder folder;
  const Error error = error_of(folder.path);
  CHECK(error.kind() == ErrorKind::data);
  CHECK(error.message().find("tokenizer.json, tokenizer.model") != std::string::npos);
  CHECK(error.where() == folder.path.string());
  folder.write("vocab.json", "{}");
  CHECK(error_of(folder.path).kind() == ErrorKind::io);  // merges.txt is missing
  CHECK(error_of(folder.path).where().find("merges.txt") != std::string::npos);
  folder.write("merges.txt", "#version: 0.2\na b\na b c\n");
  CHECK(error_of(folder.path).where().ends_with("merges.txt:3"));
  folder.write("merges.txt", "a b\n");
  CHECK(error_of(folder.path).where().find("merges[0]") != std::string::npos);
}

TEST_CASE("vocab.json and merges.txt are GPT-2's, OPT's begin with a mark") {
  const Folder folder;
  write_pair(folder);
  const Tokenizer gpt2 = load_tokenizer(folder.path);
  CHECK(gpt2.encode_with_marks("hi<|endoftext|>", 9) == Ids{257, 256});
  CHECK(gpt2.decode(Ids{257, 256}) == "hi");
  CHECK(load_tokenizer(folder.path / "vocab.json").encode("hi") == Ids{257});
  folder.write("config.json", R"({"model_type": "blip-2", "text_config": {"model_type": "opt"}})");
  folder.write("added_tokens.json", R"({"<pad>": 300, "</s>": 258})");
  const Tokenizer opt = load_tokenizer(folder.path);
  CHECK(opt.encode_with_marks("hi<pad>", 9) == Ids{258, 257, 300});
  CHECK(opt.vocab_size() == 301);
  folder.write("tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true,
    "eos_token": {"content": "<|endoftext|>"}, "additional_special_tokens": ["<new>"]})");
  const Tokenizer other = load_tokenizer(folder.path);
  CHECK(other.encode_with_marks("hi<new>", 9) == Ids{257, 301, 256});
  CHECK(other.decode(Ids{257, 301}) == "hi");
}

TEST_CASE("what a tokenizer was loaded from is saved as it is") {
  const Folder folder;
  write_pair(folder);
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2TokenizerFast"})");
  folder.write("added_tokens.json", R"({"<|im_start|>": 258})");
  const Tokenizer first = load_tokenizer(folder.path);
  fs::create_directories(folder.path / "copy");
  save_tokenizer(first, folder.path / "copy");
  const Tokenizer second = load_tokenizer(folder.path / "copy");
  CHECK(second.files() == first.files());
  CHECK(second.encode("hi <|im_start|>1") == first.encode("hi <|im_start|>1"));
  CHECK(first.id_of("<|im_start|>") == 258);
  CHECK_THROWS_AS(save_tokenizer(first, folder.path / "none"), Error);
  CHECK_THROWS_AS(save_tokenizer_json(first, folder.path / "tokenizer.json"), Error);
}

TEST_CASE("beside a tokenizer only JSON with the right values counts") {
  const Folder folder;
  write_pair(folder);
  const auto place = [&](const std::string& name, const std::string& text) {
    folder.write(name, text);
    const Error error = error_of(folder.path);
    fs::remove(folder.path / name);
    CHECK(error.kind() == ErrorKind::data);
    return error.where();
  };
  CHECK(place("tokenizer_config.json", "[]").ends_with("tokenizer_config.json: $"));
  CHECK(place("tokenizer_config.json", R"({"add_bos_token": 1})").ends_with("$.add_bos_token"));
  CHECK(place("tokenizer_config.json", R"({"added_tokens_decoder": {"x": "<a>"}})")
            .ends_with("$.added_tokens_decoder"));
  CHECK(place("added_tokens.json", R"({"<a>": -1})").ends_with("added_tokens.json: $"));
  CHECK(place("added_tokens.json", R"({"<a>": 2147483000})").ends_with("added_tokens[1].id"));
  CHECK(place("added_tokens.json", R"({"<a>": 300, "<b>": 300})").ends_with("added_tokens[2].id"));
  CHECK(place("config.json", "{").ends_with("config.json"));
}

TEST_CASE("vocab.txt is BERT's") {
  const Folder folder;
  folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##s\r\nHello\n");
  CHECK(load_tokenizer(folder.path).encode_with_marks("Hellos [SEP] x", 9) ==
        Ids{2, 4, 5, 3, 1, 3});
  folder.write("tokenizer_config.json", R"({"do_lower_case": false})");
  CHECK(load_tokenizer(folder.path / "vocab.txt").encode("Hellos") == Ids{6, 5});
  folder.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n");
  CHECK(error_of(folder.path).message().find("[SEP]") != std::string::npos);
  folder.write("vocab.txt", "[PAD]\n\xFF\n");
  CHECK(error_of(folder.path).where().ends_with("vocab.txt:2"));
}

TEST_CASE("CLIP's own vocabulary is read from its packed file") {
  const Folder folder;
  const std::string name = "bpe_simple_vocab_16e6.txt.gz";
  const std::string packed = compressed("head\nc a\nca t</w>\n");
  folder.write(name, packed);
  const Tokenizer t = load_tokenizer(folder.path);
  CHECK(t.encode_with_marks("A  Cat", 9) == Ids{514, 256 + 64, 513, 515});
  CHECK(t.decode(Ids{256 + 64, 513}) == "a cat");
  folder.write(name, packed.substr(0, packed.size() / 2));
  CHECK(error_of(folder.path).kind() == ErrorKind::data);
  folder.write(name, "no gzip");
  CHECK(error_of(folder.path).kind() == ErrorKind::data);
  folder.write(name, compressed(std::string(std::size_t{80} << 20, '\n')));
  CHECK(error_of(folder.path / name).message().find("64 MiB") != std::string::npos);
}

TEST_CASE("qwen.tiktoken merges by rank, and knows Qwen's marks") {
  const Folder folder;
  const std::string lines = tiktoken_bytes();
  folder.write("qwen.tiktoken", lines + "YmM= 256\nYWI= 257\nYWJj 258\n");  // bc, ab, abc
  const Tokenizer t = load_tokenizer(folder.path);
  CHECK(t.encode("abc") == Ids{258});
  CHECK(t.encode("abcd") == Ids{258, 100});
  CHECK(t.encode("abd<|im_end|>") == Ids{257, 100, 261});
  CHECK(t.id_of("<|extra_204|>") == 259 + 3 + 204);
  CHECK_FALSE(t.id_of("<img>").has_value());
  CHECK(t.decode(Ids{258, 195}, true) == "abc\uFFFD");
  folder.write("config.json", R"({"visual": {}})");
  CHECK(load_tokenizer(folder.path).id_of("<img>") == 259 + 208 + 6);
  for (const std::string bad : {"YWI= 256", "a?== 259", "YWI=", " 259"}) {
    folder.write("qwen.tiktoken", lines + "YmM= 256\nYWI= 257\nYWJj 258\n" + bad + "\n");
    CHECK(error_of(folder.path).where().ends_with("qwen.tiktoken:260"));
  }
  folder.write("qwen.tiktoken", "YQ== 0\n");
  CHECK(error_of(folder.path).kind() == ErrorKind::data);
}

TEST_CASE("a SentencePiece model takes the largest sum, or the best merges") {
  const Folder folder;
  folder.write("tokenizer.model", model(1));
  const Tokenizer unigram = load_tokenizer(folder.path);
  CHECK(unigram.encode_with_marks("ab aab", 9) == Ids{1, 7, 3, 4, 6});
  CHECK(unigram.encode("xyb") == Ids{3, 0, 5});
  CHECK(unigram.decode(Ids{1, 7, 3, 4, 6}) == "ab aab");
  folder.write("tokenizer.model", model(2));
  const Tokenizer bpe = load_tokenizer(folder.path);
  CHECK(bpe.encode("ab aab") == Ids{7, 3, 4, 6});
  CHECK(bpe.encode("axyb") == Ids{3, 4, 0, 5});
  CHECK(bpe.encode("").empty());
}

TEST_CASE("LLaMA's space goes before every piece of text, or once where legacy is false") {
  const Folder folder;
  folder.write("tokenizer.model", model(2));
  CHECK(load_tokenizer(folder.path).encode("ab</s>ab") == Ids{7, 2, 7});
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "legacy": false,
    "add_bos_token": false, "add_eos_token": true})");
  const Tokenizer t = load_tokenizer(folder.path);
  CHECK(t.encode("ab</s>ab") == Ids{7, 2, 6});
  CHECK(t.encode_with_marks("ab", 9) == Ids{7, 2});
}

TEST_CASE("spiece.model is T5's, with sentinels from the end") {
  const Folder folder;
  folder.write("spiece.model", model(1));
  const Tokenizer t = load_tokenizer(folder.path);
  CHECK(t.encode_with_marks("ab<extra_id_0>", 9) == Ids{7, 107, 2});
  CHECK(t.id_of("<extra_id_99>") == 8);
  CHECK(t.vocab_size() == 108);
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  CHECK(error_of(folder.path).message().find("XLMRoberta") != std::string::npos);
}

TEST_CASE("byte pieces stand for unknown characters and come back") {
  const Folder folder;
  std::string bytes = pieces();
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    bytes += piece(std::string("<0x") + kDigits[b / 16] + kDigits[b % 16] + ">", 0, 6);
  }
  folder.write("tokenizer.model",
               bytes + field(2, number(3, 2) + number(35, 1)) + normalizer(true, true));
  const Tokenizer t = load_tokenizer(folder.path);
  const Ids ids = t.encode("  ab   é ");
  CHECK(ids == Ids{7, 3, 8 + 0xC3, 8 + 0xA9});
  CHECK(t.decode(ids) == "ab é");
  CHECK(t.decode(Ids{8 + 0xC3, 4}) == "\uFFFDa");
  CHECK(t.decode(Ids{8 + 0xF0, 8 + 0x9F, 8 + 0x98, 4}) == "\uFFFD\uFFFD\uFFFDa");
  CHECK(t.decode(Ids{8 + 0xE4, 8 + 0xC3, 8 + 0xA9, 8 + 0x80}) == "\uFFFD\u00E9\uFFFD");
}

TEST_CASE("what is no SentencePiece model is refused with its place") {
  const Folder folder;
  const auto place = [&](const std::string& bytes) {
    folder.write("tokenizer.model", bytes);
    const Error error = error_of(folder.path / "tokenizer.model");
    CHECK(error.kind() == ErrorKind::data);
    const std::string where = error.where();
    return where.substr(where.find("tokenizer.model") + 15);
  };
  CHECK(place("YQ== 0\n").empty());
  CHECK(place("\n\xFF").starts_with(": byte "));
  CHECK(place("\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01").starts_with(": byte "));
  CHECK(place(model(1).substr(0, 33)).starts_with(": byte "));
  CHECK(place(model(3)).starts_with(": byte "));
  CHECK(place(pieces() + piece("", 0)).starts_with(": byte "));
  CHECK(place(pieces() + piece("\xFF", 0)).starts_with(": byte "));
  CHECK(place(pieces() + piece("x", NAN)).starts_with(": byte "));
  CHECK(place(pieces() + piece("x", 0, 7)).starts_with(": byte "));
  CHECK(place(pieces() + "\x0b").starts_with(": byte "));
  CHECK(place(pieces() + piece("ab", 0)) == ": piece 8");
  CHECK(place(pieces() + piece("<u>", 0, 2)) == ": piece 8");
  CHECK(place(pieces() + piece("<0x41>", 0, 6)) == ": piece 8");
  CHECK(place(pieces() + piece("x", 0, 5) + trainer(2)) == ": piece 8");
  CHECK(place(piece("a", 0)).empty());
  CHECK(place(pieces() + field(5, field(2, "x"))).starts_with(": byte "));
  CHECK(place(pieces() + field(3, field(2, "xyz"))) == ": character map");
  Random random(Key(4));
  const std::string whole = model(2);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    folder.write("tokenizer.model", bytes);
    try {
      const Tokenizer t = load_tokenizer(folder.path);
      t.decode(t.encode("ab x </s>a"));
    } catch (const Error&) {
    }
  }
}

TEST_CASE("a text that is too long loses its begin where the file says so") {
  json document = word_piece();
  document["truncation"] = {
      {"direction", "Left"}, {"max_length", 4}, {"strategy", "LongestFirst"}, {"stride", 0}};
  CHECK(read(document).encode_with_marks("unaffable !", 4) == Ids{2, 6, 10, 3});
  document["truncation"]["strategy"] = "OnlyFirst";
  document["truncation"]["stride"] = 2;  // only of further pieces
  CHECK(read(document).encode_with_marks("unaffable !", 4) == Ids{2, 6, 10, 3});
  CHECK(read(document).encode("unaffable !") == Ids{4, 5, 6, 10});  // not of encode()
  const auto refused = [&](const char* key, const json& value) {
    json changed = document;
    changed["truncation"][key] = value;
    try {
      read(changed);
    } catch (const Error& error) {
      return error.where();
    }
    return std::string();
  };
  CHECK(refused("direction", "Up") == "test: $.truncation.direction");
  CHECK(refused("strategy", "OnlySecond") == "test: $.truncation.strategy");
  CHECK(refused("stride", "2") == "test: $.truncation.stride");
  CHECK(refused("max_length", -1) == "test: $.truncation.max_length");
}

}  // namespace directory_test
