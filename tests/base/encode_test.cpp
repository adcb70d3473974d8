#include "tandem/base/encode.h"

#include <catch2/catch.hpp>

using namespace tandem;

TEST_CASE("bytes become base64 with its padding") {
  CHECK(to_base64("") == "");
  CHECK(to_base64("f") == "Zg==");
  CHECK(to_base64("fo") == "Zm8=");
  CHECK(to_base64("foobar") == "Zm9vYmFy");
  CHECK(to_base64("\xff\xfe") == "//4=");
}

TEST_CASE("base64 becomes bytes again, with and without its padding") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    CHECK(from_base64(to_base64(bytes)) == bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
  CHECK(from_base64("Zg") == "f");
  CHECK_FALSE(from_base64("Zg=a").has_value());
  CHECK_FALSE(from_base64("Z g").has_value());
  CHECK_FALSE(from_base64("Zm9v\n").has_value());
}

TEST_CASE("text for HTML closes no tag and no attribute") {
  CHECK(escape_html("a <b> & \"c\" 'd' \xC3\xA9") ==
        "a &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; \xC3\xA9");
}
