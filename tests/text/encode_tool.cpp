// encode_tool TOKENIZER.json LENGTH < texts > ids
// The other side of tests/reference/tokenizers_diff.py. A text is a uint32 length and its bytes;
// for each one comes: a uint32 count and int32 ids without marks, the same with marks (at most
// LENGTH ids), a uint32 length and the bytes of the decoded ids without marks, and the same of the
// ids with marks, special tokens left out. Little-endian.
//
// encode_tool --train KIND SIZE OUT < texts   trains clip, gpt2 or wordpiece instead.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "tandem/text/tokenizer.h"

namespace {

bool read_text(std::string& text) {
  std::uint32_t length;
  if (std::fread(&length, 4, 1, stdin) != 1) return false;
  text.resize(length);
  return length == 0 || std::fread(text.data(), length, 1, stdin) == 1;
}

void write(const void* data, std::size_t size, std::size_t count) {
  const auto number = static_cast<std::uint32_t>(count);
  std::fwrite(&number, 4, 1, stdout);
  std::fwrite(data, size, count, stdout);
}

int run(int argc, char** argv) {
  using namespace tandem::text;
  std::string text;
  if (argc == 5 && std::string(argv[1]) == "--train") {
    std::vector<std::string> lines;
    while (read_text(text)) lines.push_back(text);
    const std::string kind = argv[2];
    const int size = std::atoi(argv[3]);
    const Tokenizer trained =
        kind == "wordpiece"
            ? train_wordpiece(lines, size)
            : train_bpe(lines, size, kind == "clip" ? BpeKind::clip : BpeKind::gpt2);
    save_tokenizer_json(trained, argv[4]);
    return 0;
  }
  if (argc != 3) return 64;
  const Tokenizer tokenizer = load_tokenizer(argv[1]);
  const int length = std::atoi(argv[2]);
  while (read_text(text)) {
    const std::vector<std::int32_t> ids = tokenizer.encode(text);
    const std::vector<std::int32_t> marked = tokenizer.encode_with_marks(text, length);
    const std::string decoded = tokenizer.decode(ids, true);
    const std::string shown = tokenizer.decode(marked);
    write(ids.data(), 4, ids.size());
    write(marked.data(), 4, marked.size());
    write(decoded.data(), 1, decoded.size());
    write(shown.data(), 1, shown.size());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "encode_tool: %s\n", error.what());
    return 65;
  }
}
