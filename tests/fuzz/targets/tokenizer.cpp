// A tokenizer.json. What is accepted encodes, and its ids can be decoded.

#include "tandem/text/tokenizer.h"

#include "../support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  fuzz::accepted([&] {
    const text::Tokenizer tokenizer = text::parse_tokenizer(fuzz::text_of(data, size), "fuzz");
    fuzz::accepted([&] {
      for (const std::string_view line :
           {"a photo of the cat's 2 DOGS", "\xC3\xA9\xF0\x9F\x98\x80 x", ""}) {
        const auto ids = tokenizer.encode(line);
        for (const std::int32_t id : ids) {
          fuzz::require(id >= 0 && id < tokenizer.vocab_size(), "ids lie in the vocabulary");
        }
        tokenizer.decode(ids, /*keep_special=*/true);
        tokenizer.encode_with_marks(line, 64);
      }
    });
  });
  return 0;
}
