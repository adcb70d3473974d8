// Ids as `tokenizers` 0.23.3 gives them for the same documents.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "documents.h"
#include "tandem/base/error.h"

namespace tokenizer_test {

using namespace tandem;
using namespace tandem::text;
using namespace tandem::text::testing;

using Ids = std::vector<std::int32_t>;

namespace {

json with_added_tokens() {
  json document = byte_level({{"h", "e"},
                              {"l", "l"},
                              {"he", "ll"},
                              {"hell", "o"},
                              {"Ġ", "w"},
                              {"o", "r"},
                              {"Ġw", "or"},
                              {"a", "a"},
                              {"aa", "aa"}});
  document["normalizer"] = {{"type", "Lowercase"}};
  document["added_tokens"].push_back(added_token(266, "<l>", "lstrip"));
  document["added_tokens"].push_back(added_token(267, "<r>", "rstrip"));
  document["added_tokens"].push_back(added_token(268, "<w>", "single_word"));
  document["added_tokens"].push_back(added_token(269, "World", "normalized"));
  document["added_tokens"].push_back(added_token(270, "<l><r>"));
  return document;
}

}  // namespace

TEST_CASE("added tokens are found as tokenizers finds them") {
  const Tokenizer t = read(with_added_tokens());
  CHECK(t.encode("hello world") == Ids{260, 220, 269});
  CHECK(t.encode("HELLO wor ld<|endoftext|>x") == Ids{260, 263, 220, 75, 67, 256, 87});
  CHECK(t.encode("a <l> b <r> c") == Ids{64, 266, 220, 65, 220, 267, 66});
  CHECK(t.encode("<w>a <w> b<w>") == Ids{27, 86, 29, 64, 220, 268, 220, 65, 27, 86, 29});
  CHECK(t.encode("a world WORLDly") == Ids{64, 220, 269, 220, 269, 75, 88});
  CHECK(t.encode("<l><r>  <l>") == Ids{270, 266});
  CHECK(t.encode("aaaaa aaaaaaa") == Ids{265, 64, 220, 265, 264, 64});
  CHECK(t.encode("<|endoftext|") == Ids{27, 91, 68, 77, 67, 78, 69, 83, 68, 87, 83, 91});
  CHECK(t.encode("wor   <l>\n<r>\t<r>") == Ids{86, 262, 266, 198, 267, 267});
  CHECK(t.encode("") == Ids{});
}

TEST_CASE("decoding leaves out special tokens and ids that do not exist") {
  const Tokenizer t = read(with_added_tokens());
  const Ids ids{260, 256, -1, 269, 100000, 220, 266};
  CHECK(t.decode(ids) == "helloworld <l>");
  CHECK(t.decode(ids, true) == "hello<|endoftext|>world <l>");
  CHECK(t.decode(Ids{}).empty());
  CHECK(t.vocab_size() == 271);
  CHECK(t.id_of("World") == 269);
  CHECK(t.token_of(269) == "World");
  CHECK(t.token_of(257) == "he");
  CHECK_FALSE(t.id_of("nothing").has_value());
  CHECK_THROWS_AS(t.token_of(271), Error);
  CHECK_THROWS_AS(t.token_of(-1), Error);
}

TEST_CASE("word pieces are the longest ones, and marks go around them") {
  const Tokenizer t = read(word_piece());
  CHECK(t.encode_with_marks("Unaffable!", 99) == Ids{2, 4, 5, 6, 10, 3});
  CHECK(t.encode("Unaffable!") == Ids{4, 5, 6, 10});
  CHECK(t.encode("ÁÀ ab") == Ids{7, 8, 7, 9});
  CHECK(t.encode("don't") == Ids{11, 12, 13});
  CHECK(t.encode("aaaaaaaaaaaa aaaaaaaaaaaaa") == Ids{7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 1});
  CHECK(t.encode("unaffablex [SEP] 你你") == Ids{1, 3, 17, 17});
  CHECK(t.encode("##") == Ids{1, 1});
  CHECK(t.encode_with_marks("do not!", 99) == Ids{2, 15, 1, 10, 3});
  CHECK(t.decode(Ids{2, 15, 1, 10, 3}) == "do!");
  CHECK(t.decode(Ids{2, 4, 5, 6, 10, 3}) == "unaffable!");
  CHECK(t.encode_with_marks("Unaffable!", 3) == Ids{2, 4, 3});
}

TEST_CASE("ignore_merges takes whole words from the vocabulary") {
  json document = byte_level({{"h", "e"}, {"l", "l"}});
  document["model"]["vocab"]["hello"] = 259;
  CHECK(read(document).encode("hello") == Ids{257, 258, 78});
  document["model"]["ignore_merges"] = true;
  CHECK(read(document).encode("hello") == Ids{259});
}

TEST_CASE("merges may be written in one string") {
  json document = byte_level({{"h", "e"}});
  document["model"]["merges"] = {"h e"};
  CHECK(read(document).encode("he") == Ids{257});
}

TEST_CASE("post-processors of a sequence go around each other") {
  json document = byte_level();
  const auto around = [](int before, int after) {
    return json{{"type", "BertProcessing"}, {"cls", {"x", before}}, {"sep", {"y", after}}};
  };
  document["post_processor"] = {{"type", "Sequence"}, {"processors", {around(0, 1), around(2, 3)}}};
  CHECK(read(document).encode_with_marks("a", 9) == Ids{2, 0, 64, 1, 3});
}

TEST_CASE("a tokenizer's folder is kept with the files beside it") {
  const auto folder = std::filesystem::temp_directory_path() /
                      ("tandem_tokenizer_folder_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  save_tokenizer_json(read(word_piece()), folder / "tokenizer.json");
  std::ofstream(folder / "special_tokens_map.json") << "{}";
  std::ofstream(folder / "other.json") << "{}";
  const Tokenizer t = load_tokenizer(folder);
  CHECK(t.files().size() == 2);
  CHECK(t.files()[0].first == "tokenizer.json");
  CHECK(t.files()[0].second == word_piece().dump());
  CHECK(t.files()[1] == std::pair<std::string, std::string>("special_tokens_map.json", "{}"));
  CHECK(load_tokenizer(folder / "tokenizer.json").encode("a") == Ids{7});
  CHECK_THROWS_AS(load_tokenizer(folder / "none"), Error);
  CHECK_THROWS_AS(save_tokenizer_json(t, folder / "none" / "tokenizer.json"), Error);
  std::filesystem::remove_all(folder);
}

}  // namespace tokenizer_test
