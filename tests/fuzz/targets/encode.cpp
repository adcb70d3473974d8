// Any bytes as a text, through tokenizers of the three kinds that were trained on a few lines.

#include <vector>

#include "../support.h"
#include "tandem/text/tokenizer.h"

namespace {

std::vector<tandem::text::Tokenizer> make() {
  using namespace tandem::text;
  const std::vector<std::string> lines{"a photo of a cat", "two dogs, 12 cats and a house",
                                       "it's raining; \xC3\xA9t\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD"};
  return {train_bpe(lines, 600, BpeKind::clip), train_bpe(lines, 400, BpeKind::gpt2),
          train_wordpiece(lines, 200)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  static const std::vector<text::Tokenizer> all = make();
  const std::string_view line = fuzz::text_of(data, size);
  ++fuzz::inputs_read;
  for (const text::Tokenizer& tokenizer : all) {
    const auto ids = tokenizer.encode(line);
    for (const std::int32_t id : ids) {
      fuzz::require(id >= 0 && id < tokenizer.vocab_size(), "ids lie in the vocabulary");
    }
    const std::string back = tokenizer.decode(ids, /*keep_special=*/true);
    fuzz::require(tokenizer.encode_with_marks(line, 77).size() <= 77, "at most max_length ids");
    if (&tokenizer == &all[1]) {  // byte-level: nothing is lost but wrong UTF-8
      fuzz::require(tokenizer.encode(back) == ids, "the text of the ids has the same ids");
    }
  }
  return 0;
}
