#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tandem/base/error.h"
#include "tandem/text/tokenizer.h"

namespace train_test {

using namespace tandem;
using namespace tandem::text;

namespace {

std::vector<std::string> captions() {
  std::vector<std::string> lines;
  for (const char* colour : {"red", "green", "blue", "yellow"}) {
    for (const char* shape : {"circle", "square", "triangle", "star"}) {
      lines.push_back(std::string("A small ") + colour + " " + shape + " above a large " + shape);
      lines.push_back(std::string("two ") + colour + " things, and one " + shape + "'s shadow.");
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("a trained CLIP tokenizer has its marks at the end and reads words as one token") {
  const Tokenizer t = train_bpe(captions(), 640, BpeKind::clip);
  CHECK(t.vocab_size() <= 640);
  CHECK(t.id_of("<|startoftext|>") == t.vocab_size() - 2);
  CHECK(t.id_of("<|endoftext|>") == t.vocab_size() - 1);
  CHECK(t.encode("RED  Circle").size() == 2);
  const auto marked = t.encode_with_marks("a red circle", 77);
  REQUIRE(marked.size() == 5);
  CHECK(marked.front() == t.vocab_size() - 2);
  CHECK(marked.back() == t.vocab_size() - 1);
  CHECK(t.decode(marked) == "a red circle");
  CHECK(t.decode(marked, true) == "<|startoftext|>a red circle <|endoftext|>");
}

TEST_CASE("with a short length the text is cut and the marks stay") {
  const Tokenizer t = train_bpe(captions(), 640, BpeKind::clip);
  const auto all = t.encode_with_marks("a red circle and a blue star", 77);
  const auto cut = t.encode_with_marks("a red circle and a blue star", 4);
  REQUIRE(cut.size() == 4);
  CHECK(std::vector(cut.begin(), cut.begin() + 3) == std::vector(all.begin(), all.begin() + 3));
  CHECK(cut.back() == all.back());
  CHECK(t.encode_with_marks("a red circle", 2).size() == 2);
  CHECK_THROWS_AS(t.encode_with_marks("a red circle", 1), Error);
  CHECK_THROWS_AS(t.encode_with_marks("a red circle", -1), Error);
}

TEST_CASE("training twice gives the same bytes, and they load to the same ids") {
  const auto lines = captions();
  for (const BpeKind kind : {BpeKind::clip, BpeKind::gpt2}) {
    const Tokenizer a = train_bpe(lines, 600, kind), b = train_bpe(lines, 600, kind);
    REQUIRE(a.files() == b.files());
    const auto path = std::filesystem::temp_directory_path() /
                      ("tandem_tokenizer_" + std::to_string(getpid()) + ".json");
    save_tokenizer_json(a, path);
    const Tokenizer c = load_tokenizer(path);
    std::filesystem::remove(path);
    CHECK(c.files().front().second == a.files().front().second);
    for (const std::string& line : lines) CHECK(a.encode(line) == c.encode(line));
  }
}

TEST_CASE("a vocabulary that cannot hold alphabet and marks is refused") {
  CHECK_THROWS_AS(train_bpe(captions(), 513, BpeKind::clip), Error);
  CHECK(train_bpe(captions(), 514, BpeKind::clip).vocab_size() == 514);
  CHECK_THROWS_AS(train_bpe(captions(), 256, BpeKind::gpt2), Error);
  CHECK(train_bpe({}, 257, BpeKind::gpt2).vocab_size() == 257);
  CHECK_THROWS_AS(train_wordpiece(captions(), 10), Error);
  CHECK_THROWS_AS(train_wordpiece(captions(), -5), Error);
}

TEST_CASE("a trained WordPiece tokenizer has BERT's marks first and marks inner pieces") {
  const Tokenizer t = train_wordpiece(captions(), 200);
  CHECK(t.id_of("[PAD]") == 0);
  CHECK(t.id_of("[MASK]") == 4);
  CHECK(t.token_of(1) == "[UNK]");
  const auto ids = t.encode_with_marks("A red Circle", 40);
  CHECK(ids.front() == 2);
  CHECK(ids.back() == 3);
  CHECK(t.decode(ids) == "a red circle");
  CHECK(t.encode("\xE2\x98\x83") == std::vector<std::int32_t>{1});  // a snowman is unknown
}

TEST_CASE("byte-level tokenizers give every text back") {
  const Tokenizer t = train_bpe(captions(), 400, BpeKind::gpt2);
  for (const std::string text :
       {"a red circle", "  two\n\n spaces ", "na\xC3\xAFve caf\xC3\xA9", "\xE4\xBD\xA0\xE5\xA5\xBD",
        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80", "", " "}) {
    CHECK(t.decode(t.encode(text)) == text);
  }
  CHECK(t.decode(t.encode("a\xFF\xE2\x82")) == "a\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("an empty tokenizer says so") {
  const Tokenizer empty;
  CHECK(empty.empty());
  CHECK_THROWS_AS(empty.encode("a"), Error);
  CHECK_THROWS_AS(empty.files(), Error);
}

}  // namespace train_test
