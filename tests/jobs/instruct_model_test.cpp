// What a model that is open here reads of a request, how it draws, and when it has come to its end.

#include "tandem/jobs/instruct_model.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../support/errors.h"
#include "../support/temporary.h"
#include "jobs/instruct_prompts.h"
#include "tandem/base/files.h"
#include "tandem/data/world/source.h"
#include "tandem/text/kinds.h"

namespace instruct_model_test {

using namespace tandem;
using namespace tandem::jobs;
using tandem::test::contains;

namespace {

using Ids = std::vector<std::int64_t>;

const std::string good_words = "A brown dog stands on top of a green hill and looks around.";

// What the model was given, and what it writes.
struct Script {
  Batch prompt{};
  models::GenerateOptions options{};
  Ids writes{};
};

class ScriptedModel final : public models::Model {
 public:
  explicit ScriptedModel(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  NamedTensors parameters() const override { return {}; }
  void to(const at::Device&) override {}
  void train(bool) override {}
  std::vector<std::string> losses_known() const override { return {}; }
  std::map<std::string, double> counts(const Batch&, const models::LossRequest&) const override {
    return {};
  }
  LossTerms losses(const Batch&, const models::LossRequest&, const models::StepContext&) override {
    return {};
  }
  models::Abilities abilities() override {
    models::Abilities can;
    can.generate = [script = script_](const Batch& prompts,
                                      const models::GenerateOptions& options) {
      script->prompt = prompts;
      script->options = options;
      return std::vector<Ids>{script->writes};
    };
    return can;
  }
  std::map<std::string, at::Tensor> reference_outputs(
      const std::map<std::string, at::Tensor>&) override {
    return {};
  }

 private:
  std::shared_ptr<Script> script_;
};

InstructRequest request_for(const std::string& id) {
  InstructRequest request;
  request.id = id;
  request.kind = instruct_detail;
  request.messages = instruct_messages(instruct_detail, "a dog on a hill\na brown dog", 1);
  return request;
}

// A family's own way to write a dialogue, with a vocabulary of the request's words, and no weights.
struct Told {
  OpenModel model{};
  std::shared_ptr<Script> script = std::make_shared<Script>();

  explicit Told(const models::Family& family) {
    std::vector<std::string> lines(2, good_words);
    for (const InstructMessage& one : request_for("a").messages) {
      lines.insert(lines.end(), 2, one.content);
    }
    model.tokenizer = std::make_shared<const text::Tokenizer>(
        text::train_tokenizer(family.vocabulary, lines, 700));
    model.family = &family;
    model.settings = family.settings();
    family.fit_vocabulary(*model.settings, *model.tokenizer);
    model.processor = family.processor(*model.settings, model.tokenizer);
    model.model = std::make_unique<ScriptedModel>(script);
  }

  InstructAnswer answer(const InstructRequest& request, const ReplyOptions& options) const {
    return told_by(model, request, options, at::kCPU);
  }
  std::string read() const {
    const at::Tensor ids = script->prompt.text->ids.contiguous();
    const auto* first = ids.const_data_ptr<std::int64_t>();
    const std::vector<std::int32_t> all(first, first + ids.numel());
    return model.tokenizer->decode(all, /*keep_special=*/true);
  }
  Ids ids_of(const std::string& words) const {
    const std::vector<std::int32_t> ids = model.tokenizer->encode(words);
    return {ids.begin(), ids.end()};
  }
};

bool is_of_dialogues(const models::Family& family) {
  return family.vocabulary == "vicuna" || family.vocabulary.starts_with("qwen");
}

const models::Family& chatml_family() {
  const auto& all = models::families();
  return *std::find_if(all.begin(), all.end(),
                       [](const models::Family& one) { return one.vocabulary == "qwen"; });
}

ReplyOptions with(std::int64_t max_tokens, double temperature = 0, std::uint64_t seed = 0) {
  return reply_options(temperature, 1, 0, 1, max_tokens, seed);
}

// Blanks at the ends of what people say are the templates' own.
std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

}  // namespace

TEST_CASE("a model reads the task, the examples and the sample, in their order") {
  std::size_t tried = 0;
  for (const models::Family& family : models::families()) {
    if (!is_of_dialogues(family)) continue;
    CAPTURE(family.name);
    const Told told(family);
    const InstructRequest request = request_for("few-000000001-detail");
    told.answer(request, with(8));
    const std::string read = without_blanks(told.read());
    REQUIRE(request.messages.size() == 4);
    std::size_t at = 0;
    for (const InstructMessage& message : request.messages) {
      CAPTURE(message.content, read);
      at = read.find(without_blanks(message.content), at);
      REQUIRE(at != std::string::npos);
    }
    CHECK_FALSE(contains(read, "Describethepicture."));  // not what a picture is asked for
    ++tried;
  }
  CHECK(tried >= 3);
}

TEST_CASE("draws follow the seed, the request and the attempt") {
  const Told told(chatml_family());
  const auto drawn = [&](std::uint64_t seed, const std::string& id, std::int64_t attempt) {
    InstructRequest request = request_for(id);
    request.attempt = attempt;
    told.answer(request, with(8, 0.7, seed));
    CHECK(told.script->options.sample);
    CHECK(told.script->options.temperature == Approx(0.7));
    return told.script->options.keys.at(0).bits();
  };
  const std::uint64_t first = drawn(1, "a", 0);
  CHECK(drawn(1, "a", 0) == first);
  CHECK(drawn(2, "a", 0) != first);
  CHECK(drawn(1, "b", 0) != first);
  CHECK(drawn(1, "a", 1) != first);
  told.answer(request_for("a"), with(8));
  CHECK_FALSE(told.script->options.sample);
  CHECK(told.script->options.max_length == 8);
}

TEST_CASE("an answer without an end mark at the most tokens is cut off; a whole one is kept") {
  const Told told(chatml_family());
  const Ids words = told.ids_of(good_words);
  Ids ended = words;
  ended.push_back(told.model.tokenizer->id_of("<|im_end|>").value());
  const auto most = static_cast<std::int64_t>(words.size());
  const auto cut = [&](const Ids& writes, std::int64_t max_tokens) {
    told.script->writes = writes;
    const InstructAnswer answer = told.answer(request_for("a"), with(max_tokens));
    CHECK(answer.text == good_words);
    return answer.cut_off;
  };
  CHECK(cut(words, most));
  CHECK_FALSE(cut(ended, most + 1));
  CHECK_FALSE(cut(ended, most + 5));

  const testing::TemporaryDirectory folder;
  data::world::WorldSettings settings;
  settings.size = 2;
  const std::shared_ptr<const data::Source> world = data::world::open_world(settings);
  InstructJob job;
  job.inputs = {{"world", world}};
  job.folder = folder.path() / "out";
  job.kinds = {instruct_detail};
  job.answer = [&](const InstructRequest& request) {
    told.script->writes = request.index == 0 ? ended : words;
    return told.answer(request, with(request.index == 0 ? most + 1 : most));
  };
  const InstructCounts counts = make_instructions(job);
  CHECK(counts.kept == std::map<std::string, std::int64_t>{{"detail", 1}});
  CHECK(counts.dropped == std::map<std::string, std::int64_t>{{"cut off", 1}});
  const auto list = nlohmann::json::parse(read_file(job.folder / "data.json", 1 << 20));
  REQUIRE(list.size() == 1);
  CHECK(list[0]["conversations"][1]["value"] == good_words);
}

}  // namespace instruct_model_test
