// Sliding windows in config.json, by transformers' rule.

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/language_config.h"
#include "models/qwen2_vl/config.h"
#include "tandem/base/error.h"

namespace sliding_test {

using namespace tandem;
using namespace tandem::models;
using nlohmann::json;

namespace {

SlidingWindow read(const json& text, std::int64_t layers = 4) {
  return read_sliding({&text, ""}, layers, 28);
}

json types(std::initializer_list<bool> slide) {
  json all = {{"use_sliding_window", true}, {"sliding_window", 8}};
  for (const bool own : slide) {
    all["layer_types"].push_back(own ? "sliding_attention" : "full_attention");
  }
  return all;
}

}  // namespace

TEST_CASE("the layers from max_window_layers on have a window, or those that layer_types names") {
  const json some = {{"use_sliding_window", true}, {"sliding_window", 8}, {"max_window_layers", 3}};
  CHECK(read(some).window == 8);
  CHECK(read(some).first == 3);
  CHECK(read(some, 3).window == 0);  // none of three
  CHECK(read(types({false, true, true, true})).first == 1);
  CHECK(read(types({true, true, true, true})).first == 0);
  CHECK(read(types({false, false, false, false})).window == 0);
  CHECK(read({{"use_sliding_window", true}}).window == 0);  // from layer 28 on
  CHECK(read({{"use_sliding_window", true}}, 40).window == 4096);
  json off = some;
  off["use_sliding_window"] = false;
  CHECK(read(off).window == 0);
  off = some;
  off["sliding_window"] = nullptr;
  CHECK(read(off).window == 0);
}

TEST_CASE("windows below layers without are refused, as are lists of another length") {
  CHECK_THROWS_WITH(read(types({true, false, true, true})),
                    Catch::Contains("expected full_attention, then sliding_attention"));
  CHECK_THROWS_WITH(read(types({true, true})), Catch::Contains("a kind for each layer"));
  json other = types({true, true, true, true});
  other["layer_types"][0] = "linear_attention";
  CHECK_THROWS_AS(read(other), Error);
}

TEST_CASE("what is written is what was read") {
  for (const SlidingWindow& given : {SlidingWindow{8, 1}, SlidingWindow{3, 0}, SlidingWindow{}}) {
    json text;
    write_sliding(text, given, 4);
    CHECK(read(text).window == given.window);
    CHECK(read(text).first == given.first);
  }
  qwen2_vl::Config config(qwen2_vl::Version::two);
  config.text.vocab_size = 60;
  config.text.sliding = {16, 5};
  const auto again =
      qwen2_vl::from_config_json(qwen2_vl::Version::two, qwen2_vl::to_config_json(config));
  CHECK(qwen2_vl::config_of(*again).text.sliding.window == 16);
  CHECK(qwen2_vl::config_of(*again).text.sliding.first == 5);
  LanguageConfig llama;
  llama.sliding.window = 4;
  Problems found;
  check_language(found, "language", llama);
  CHECK(found.size() == 1);
}

}  // namespace sliding_test
