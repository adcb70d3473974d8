// Which template of ours a Jinja text writes as, and where it is found.

#include "tandem/text/jinja.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tandem/base/error.h"
#include "tandem/text/chat.h"
#include "tandem/text/kinds.h"

namespace jinja_test {

using namespace tandem;
using namespace tandem::text;
namespace fs = std::filesystem;

namespace {

// Short, with the signs of the published ones.
const std::string of_qwen =
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}";
const std::string of_llava =
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{{ message['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";
const std::string of_another =
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}";

bool writes_as(const std::string& jinja, const std::string& name) {
  const std::vector<std::string> like = templates_like(jinja);
  return std::find(like.begin(), like.end(), name) != like.end();
}

struct Directory {
  Directory() : path(fs::temp_directory_path() / ("tandem_jinja_" + std::to_string(getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path);
    const std::vector<std::string> lines{"a red circle", "a blue square"};
    save_tokenizer_json(train_tokenizer("qwen", lines, 320), path / "tokenizer.json");
  }
  ~Directory() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
  std::optional<FoundTemplate> found() const { return jinja_beside(load_tokenizer(path)); }
  fs::path path;
};

}  // namespace

TEST_CASE("a template in Jinja is known by the signs of its system, or foreign") {
  CHECK(writes_as(of_qwen, "chatml"));
  CHECK_FALSE(writes_as(of_qwen, "v1"));
  CHECK(writes_as(of_llava, "v1"));
  CHECK_FALSE(writes_as(of_llava, "chatml"));
  CHECK(writes_as("<s>[INST] <<SYS>>\n{{ system }}\n<</SYS>>\n\n{{ user }} [/INST]", "llama_2"));
  CHECK(templates_like(of_another).empty());
  CHECK(templates_like("{{ messages }}").empty());
  // Another system text, and another sign beside ours.
  CHECK(templates_like("<|im_start|>{{ message['role'] }}\n{{ text }}<|im_end|>\n").empty());
  CHECK(templates_like(of_qwen + "<think>").empty());
  for (const std::string& jinja : {of_qwen, of_llava}) {
    for (const std::string& name : templates_like(jinja)) CHECK_NOTHROW(chat_template(name));
  }
}

TEST_CASE("the template of a directory stands in one of three files") {
  const Directory directory;
  CHECK_FALSE(directory.found());
  directory.write("tokenizer_config.json", R"({"chat_template": "in the tokenizer's"})");
  REQUIRE(directory.found());
  CHECK(directory.found()->file == "tokenizer_config.json");
  CHECK(directory.found()->jinja == "in the tokenizer's");
  directory.write("tokenizer_config.json",
                  R"({"chat_template": [{"name": "tools", "template": "no"},
                                        {"name": "default", "template": "yes"}]})");
  CHECK(directory.found()->jinja == "yes");
  directory.write("chat_template.json", R"({"chat_template": "in its own"})");
  CHECK(directory.found()->jinja == "in its own");
  directory.write("chat_template.jinja", of_llava);
  CHECK(directory.found()->file == "chat_template.jinja");
  CHECK(directory.found()->jinja == of_llava);
  fs::remove(directory.path / "chat_template.jinja");
  directory.write("chat_template.json", "{");
  CHECK_THROWS_AS(directory.found(), Error);
}

}  // namespace jinja_test
