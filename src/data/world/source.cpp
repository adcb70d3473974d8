#include "tandem/data/world/source.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "tandem/base/error.h"
#include "tandem/data/world/caption.h"
#include "tandem/data/world/draw.h"
#include "tandem/data/world/gallery.h"
#include "tandem/data/world/reading.h"
#include "tandem/data/world/tasks.h"

namespace tandem::data::world {
namespace {

constexpr std::int64_t kMaxSize = 1'000'000'000;  // far below the gallery's own indices
constexpr int kShortCaptions = 5;
constexpr std::int64_t kMostFrames = 30;  // a second

struct Problem {
  std::string field{}, text{};
};

// The tasks that are more than captions.
std::optional<Task> task_of(const WorldSettings& s) {
  constexpr std::array<std::pair<std::string_view, Task>, 13> tasks{
      {{"vqa", Task::vqa},
       {"nlvr2", Task::nlvr2},
       {"ve", Task::ve},
       {"grounding", Task::grounding},
       {"dialogue", Task::dialogue},
       {"preference", Task::preference},
       {"ocr", Task::ocr},
       {"clip", Task::clip},
       {"questions", Task::questions},
       {"reading", Task::reading},
       {"screen", Task::screen},
       {"target", Task::target},
       {"several", Task::several}}};
  for (const auto& [name, task] : tasks) {
    if (s.task == name) return task;
  }
  return {};
}

std::string written(const std::vector<std::int64_t>& numbers) {
  std::string all;
  for (const std::int64_t one : numbers) all += (all.empty() ? "" : ",") + std::to_string(one);
  return all;
}

void add_task_problems(const WorldSettings& s, std::vector<Problem>& problems) {
  const auto needs = [&](bool holds, const char* field, const std::string& text) {
    if (!holds) problems.push_back({field, text + " with task " + s.task});
  };
  needs(s.answers == "closed" || s.task == "vqa", "answers", "expected closed");
  needs(s.wrong == 0 || s.task == "caption", "wrong", "expected 0");
  if (!s.only.empty()) needs(s.task == "caption", "only", "expected it left out");
  if (s.boxes) needs(s.task == "caption" || s.task == "ocr", "boxes", "expected it left out");
  const bool moves = task_of(s) == Task::clip;
  needs(moves || s.rates == WorldSettings{}.rates, "rates", "expected it left out");
  needs(!s.rates.empty() && *std::min_element(s.rates.begin(), s.rates.end()) >= 1 &&
            *std::max_element(s.rates.begin(), s.rates.end()) <= kMostFrames,
        "rates", "expected frames a second, 1 to " + std::to_string(kMostFrames) + ",");
  if (!task_of(s)) return;
  needs(s.max_objects >= 2, "max_objects", "expected at least 2");
  needs(s.variants == 1, "variants", "expected 1");
  needs(s.captions == "full", "captions", "expected it left out");
  needs(s.split != "hard", "split", "expected train or test");
}

// What the fields' own rules cannot say.
std::vector<Problem> problems_of(const WorldSettings& s) {
  std::vector<Problem> problems;
  add_task_problems(s, problems);
  if (!is_side(static_cast<int>(s.side))) problems.push_back({"side", "expected 64, 96 or 224"});
  if (s.split == "hard") {
    if (s.captions != "full")
      problems.push_back({"captions", "expected full for the hard gallery"});
    if (s.max_objects < 2)
      problems.push_back({"max_objects", "expected at least 2 for the hard gallery"});
    if (s.variants != 1)
      problems.push_back({"variants", "expected 1 for the hard gallery, whose groups are fixed"});
  }
  if (s.min_objects > s.max_objects) {
    problems.push_back(
        {"min_objects", "expected at most max_objects (" + std::to_string(s.max_objects) + ")"});
  }
  if (s.variants > 1 && s.size % s.variants != 0) {
    problems.push_back(
        {"size", "expected a multiple of variants (" + std::to_string(s.variants) + ")"});
  }
  return problems;
}

// Texts of a scene by the setting `captions`, the first one drawn by key.
std::vector<std::string> texts_of(const Scene& scene, const std::string& kind, Key key) {
  const bool short_first =
      kind == "short" || (kind == "mixed" && Random(key.fold("length")).below(2) == 0);
  std::vector<std::string> full, brief;
  if (kind != "short") full = full_captions(scene, key);
  if (kind != "full") {
    for (std::uint64_t i = 0; i < kShortCaptions; ++i) {
      brief.push_back(short_caption(scene, key.fold(i)));
    }
  }
  std::vector<std::string>& first = short_first ? brief : full;
  const std::vector<std::string>& second = short_first ? full : brief;
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

class World final : public Source {
 public:
  explicit World(const WorldSettings& settings)
      : s_(settings), task_(task_of(settings)), size_(settings.size) {
    rules_.seed = static_cast<std::uint64_t>(s_.seed);
    rules_.split = s_.split == "train" ? Split::train : Split::test;
    rules_.max_objects = static_cast<int>(s_.max_objects);
    rules_.min_objects = static_cast<int>(s_.min_objects);
    if (is_hard()) size_ = kHardSize;
  }

  std::int64_t size() const override { return size_; }
  bool is_drawn() const override { return true; }

  Sample read(std::int64_t index) const override {
    if (task_) return task_sample_of(index, true);
    const Scene scene = checked_scene(index);
    Sample sample = described(scene, index);
    if (s_.only == "texts" || s_.task == "text") return sample;
    sample.pictures.push_back({{}, draw(scene, static_cast<int>(s_.side))});
    return sample;
  }

  Sample peek(std::int64_t index) const override {
    return task_ ? task_sample_of(index, false) : described(checked_scene(index), index);
  }

  std::vector<std::string> answers() const override {
    return task_ == Task::vqa && s_.answers == "closed" ? closed_answers()
                                                        : std::vector<std::string>{};
  }

  std::string fingerprint() const override {
    char wrong[32];
    std::snprintf(wrong, sizeof wrong, "%.17g", s_.wrong);
    return "world:v" + std::to_string(kVersion) + ":" + s_.split + ":" + std::to_string(size_) +
           ":side=" + std::to_string(s_.side) + ":objects=" + std::to_string(s_.min_objects) + "-" +
           std::to_string(s_.max_objects) + ":" + s_.captions + ":wrong=" + wrong +
           ":variants=" + std::to_string(s_.variants) + ":seed=" + std::to_string(s_.seed) +
           (s_.only.empty() ? "" : ":only=" + s_.only) + (s_.boxes ? ":boxes" : "") +
           (s_.task == "caption" ? "" : ":task=" + s_.task) +
           (s_.answers == "closed" ? "" : ":answers=" + s_.answers) +
           (task_ == Task::clip ? ":rates=" + written(s_.rates) : "");
  }

  std::optional<Scene> captioned_scene(std::int64_t index) const {
    if (task_) return {};
    return checked_scene(index);
  }

 private:
  bool is_hard() const { return s_.split == "hard"; }

  Scene checked_scene(std::int64_t index) const {
    TANDEM_CHECK(index >= 0 && index < size_, "[world] an index out of range");
    return scene_of(index);
  }

  Sample task_sample_of(std::int64_t index, bool with_pictures) const {
    TANDEM_CHECK(index >= 0 && index < size_, "[world] an index out of range");
    const int side = static_cast<int>(s_.side);
    TaskSample made = task_sample(rules_, *task_, index, {s_.answers == "open", side, s_.rates});
    if (s_.boxes) made.sample = written_lines(made.scenes.at(0));
    made.sample.id = id_of(index);
    made.sample.picture_id = index;
    for (const Scene& scene : made.scenes) {
      if (!with_pictures) break;
      if (scene.kind == Kind::clip) {
        made.sample.clips.push_back(draw_clip(scene, side));
      } else {
        made.sample.pictures.push_back({{}, draw(scene, side)});
      }
    }
    return std::move(made.sample);
  }

  // All of a sample but its picture.
  Sample described(const Scene& scene, std::int64_t index) const {
    const Key key = caption_key(rules_.seed, s_.split, index);
    Sample sample;
    sample.id = id_of(index);
    sample.picture_id = index;
    if (is_hard()) sample.group = index / kHardVariants;
    if (s_.variants > 1) sample.group = index / s_.variants;
    if (s_.boxes) add_boxes(scene, sample);
    if (s_.only == "pictures") return sample;
    if (s_.wrong > 0) {
      const bool wrong = Random(key.fold("wrong")).chance(s_.wrong);
      sample.label = wrong ? 0 : 1;
      const bool other = Random(key.fold("wrong kind")).below(2) == 0;
      sample.kind = !wrong ? "true" : other ? "another scene" : "one change";
      sample.texts = wrong ? wrong_texts(scene, key, other) : texts_of(scene, s_.captions, key);
    } else {
      sample.texts = texts_of(scene, s_.captions, key);
    }
    return sample;
  }

  // What a page says and where; nobody asks.
  Sample written_lines(const Scene& page) const {
    Sample sample;
    sample.kind = "lines";
    for (const Word& word : page.words) {
      sample.boxes.push_back(word_box(page, word, static_cast<int>(s_.side)));
      sample.box_names.push_back(word.text);
    }
    return sample;
  }

  void add_boxes(const Scene& scene, Sample& sample) const {
    for (const Object& object : scene.objects) {
      sample.boxes.push_back(object_box(scene, object, static_cast<int>(s_.side)));
      sample.box_names.emplace_back(kShapeWords[static_cast<std::size_t>(object.look.shape)]);
    }
  }

  Scene scene_of(std::int64_t index) const {
    if (is_hard()) return hard_scene(rules_, index);
    if (s_.variants == 1) return make_scene(rules_, index);
    const auto variants = static_cast<int>(s_.variants);
    return contrast_group(rules_, index / variants,
                          variants)[static_cast<std::size_t>(index % variants)];
  }

  std::string id_of(std::int64_t index) const {
    std::string number = std::to_string(index);
    if (number.size() < 6) number.insert(0, 6 - number.size(), '0');
    return (s_.task == "caption" ? "world/" : "world/" + s_.task + "/") + s_.split + "/" + number;
  }

  // Half of them speak of another scene, half of this one with an attribute changed. All texts of a
  // sample are wrong: a short one may be true of both scenes, then other draws are tried.
  std::vector<std::string> wrong_texts(const Scene& scene, Key key, bool other) const {
    Random random(key.fold("another scene"));
    std::vector<std::string> texts;
    for (std::uint64_t attempt = 0;; ++attempt) {
      const Key draw = key.fold("wrong text").fold(attempt);
      const Scene told = other ? make_scene(rules_, random.between(0, kMaxSize))
                               : with_one_change(scene, draw, rules_.split == Split::train);
      for (std::string& text : texts_of(told, s_.captions, draw)) {
        const auto said = read_caption(text);
        TANDEM_CHECK(said.has_value(), "[world] a caption of ours that cannot be read: " + text);
        if (!agrees(*said, scene)) texts.push_back(std::move(text));
      }
      if (!texts.empty()) return texts;
    }
  }

  WorldSettings s_;
  std::optional<Task> task_;
  SceneRules rules_{};
  std::int64_t size_ = 0;
};

}  // namespace

void WorldSettings::fields(FieldVisitor& v) {
  v.field(
      "task", task,
      {.doc = "what a sample is: a picture with captions, a question, two pictures and a "
              "sentence, a hypothesis, an expression with its box, a dialogue, a right and a "
              "wrong answer, a page of words, a clip with a question, a dialogue of questions "
              "of vqa, the same about a caption without its picture, a dialogue about a screen, a "
              "button of one with its box, a dialogue over two or three pictures, or captions "
              "alone",
       .choices = {"caption", "vqa", "nlvr2", "ve", "grounding", "dialogue", "preference", "ocr",
                   "clip", "questions", "reading", "screen", "target", "several", "text"}});
  v.field("answers", answers,
          {.doc = "of vqa: closed, one of 29 answers, or open, free text",
           .choices = {"closed", "open"}});
  v.field(
      "split", split,
      {.doc = "train: no held-out pair of shape and colour; test: at least one; hard: the gallery",
       .choices = {"train", "test", "hard"}});
  v.field("size", size,
          {.doc = "samples; the hard gallery always has 500", .min = 1, .max = kMaxSize});
  v.field("side", side, {.doc = "pixels of a picture's side: 64, 96 or 224"});
  v.field("max_objects", max_objects,
          {.doc = "a picture shows at most so many objects", .min = 1, .max = kMaxObjects});
  v.field("min_objects", min_objects,
          {.doc = "and at least so many (the hard gallery: 2)", .min = 1, .max = kMaxObjects});
  v.field("captions", captions,
          {.doc = "full: everything is named; short: one or two objects, in part; mixed: both",
           .choices = {"full", "short", "mixed"}});
  v.field("wrong", wrong,
          {.doc = "share of wrong captions: half another scene's, half with one thing changed",
           .min = 0,
           .max = 1});
  v.field("variants", variants,
          {.doc = "so many samples in a row are one scene in different bindings; see data.block",
           .min = 1,
           .max = kMaxVariants});
  v.field("seed", seed, {.doc = "of the scenes and their texts", .min = 0});
  v.field("only", only,
          {.doc = "pictures alone, or texts alone; empty: both",
           .choices = {"", "pictures", "texts"},
           .unset = 0});
  v.field(
      "boxes", boxes,
      {.doc = "of captions: say what is in which box, for instruction data (`data instruct`); of "
              "ocr: each line's words and their box, instead of a dialogue"});
  v.field("rates", rates, {.doc = "of clips: frames a second, drawn from these"});
  for (const Problem& problem : problems_of(*this)) v.problem(problem.field, problem.text);
}

std::unique_ptr<Source> open_world(const WorldSettings& settings) {
  for (const Problem& problem : problems_of(settings)) {
    throw Error(ErrorKind::config, "[world] " + problem.field + ": " + problem.text);
  }
  return std::make_unique<World>(settings);
}

std::optional<Scene> scene_of(const Source& source, std::int64_t index) {
  const auto* world = dynamic_cast<const World*>(&source);
  return world != nullptr ? world->captioned_scene(index) : std::nullopt;
}

Key caption_key(std::uint64_t seed, std::string_view split, std::int64_t index) {
  return Key(seed)
      .fold("world caption")
      .fold(kVersion)
      .fold(split)
      .fold(static_cast<std::uint64_t>(index));
}

}  // namespace tandem::data::world
