#include "eval/each.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/loading.h"
#include "eval/predictions.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/loader.h"
#include "tandem/vision/decode.h"

namespace tandem::eval {
namespace {

using Json = nlohmann::ordered_json;

// What the loader's threads read, by index.
struct ReadNotes {
  std::mutex mutex{};
  std::map<std::int64_t, Judged> read{};
};

std::array<std::int64_t, 2> size_of(const data::Picture& picture, const std::string& where) {
  if (picture.encoded.empty()) return {picture.pixels.height, picture.pixels.width};
  const vision::PictureSize size = vision::picture_size(picture.encoded, where);
  return {size.height, size.width};
}

class Noted final : public data::Source {
 public:
  Noted(std::shared_ptr<const data::Source> inner, ReadNotes& notes)
      : inner_(std::move(inner)), notes_(notes) {}
  std::int64_t size() const override { return inner_->size(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  data::Sample read(std::int64_t index) const override {
    data::Sample sample = inner_->read(index);
    Judged judged{sample};
    judged.sample.pictures.clear();
    for (const data::Picture& picture : sample.pictures) {
      judged.sizes.push_back(size_of(picture, sample.id));
    }
    const std::lock_guard lock(notes_.mutex);
    notes_.read[index] = std::move(judged);
    return sample;
  }

 private:
  std::shared_ptr<const data::Source> inner_;
  ReadNotes& notes_;
};

// One step of the loader. What stands past the end, or in for a bad sample, is nobody's.
void judge_step(const Input& input, const Judge& judge, const data::StepBatches& step,
                std::int64_t size, ReadNotes& notes, std::vector<Outcome>& mine) {
  const Batch& host = step.micro_batches.at(0);
  std::set<std::int64_t> bad;
  for (const data::BadSample& one : step.bad) {
    if (one.position < size) log_warning("[eval] left out " + one.id + ": " + one.reason);
    bad.insert(one.position);
  }
  std::vector<Judged> kept(host.positions.size());
  std::vector<const Judged*> rows(host.positions.size(), nullptr);
  bool any = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t position = host.positions[i];
    if (position >= size || bad.contains(position)) continue;
    const std::lock_guard lock(notes.mutex);
    kept[i] = std::move(notes.read.at(position));
    notes.read.erase(position);
    rows[i] = &kept[i];
    any = true;
  }
  if (!any) return;
  std::vector<Outcome> outcomes = judge(to(host, input.device), rows);
  TANDEM_CHECK(outcomes.size() == rows.size(), "[eval] an outcome for each row");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == nullptr) continue;
    outcomes[i].index = host.positions[i];
    outcomes[i].id = rows[i]->sample.id;
    outcomes[i].kind = rows[i]->sample.kind;
    mine.push_back(std::move(outcomes[i]));
  }
}

Json json_of(const Outcome& one) {
  Json answers = Json::array();
  for (const Answer& answer : one.query.answers) {
    answers.push_back({answer.text, answer.score, answer.right});
  }
  return Json::array(
      {one.index, one.id, one.kind, one.values, one.query.text, answers, one.references});
}

// JSON has no number that is not finite: it is written as null.
double number_or_nan(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Outcome outcome_of(const Json& json) {
  Outcome one;
  json.at(0).get_to(one.index);
  json.at(1).get_to(one.id);
  json.at(2).get_to(one.kind);
  for (const Json& value : json.at(3)) one.values.push_back(number_or_nan(value));
  one.query.picture = one.index;
  json.at(4).get_to(one.query.text);
  for (const Json& answer : json.at(5)) {
    one.query.answers.push_back({.text = answer.at(0).get<std::string>(),
                                 .score = number_or_nan(answer.at(1)),
                                 .right = answer.at(2).get<bool>()});
  }
  json.at(6).get_to(one.references);
  return one;
}

// Of all ranks, in the order of the source.
std::vector<Outcome> gathered(const Input& input, const std::vector<Outcome>& mine) {
  Json own = Json::array();
  for (const Outcome& one : mine) own.push_back(json_of(one));
  const std::string text = own.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::vector<Outcome> all;
  for (const std::string& of_rank : dist::all_gather_text(*input.mesh, text)) {
    for (const Json& one : Json::parse(of_rank)) all.push_back(outcome_of(one));
  }
  std::sort(all.begin(), all.end(),
            [](const Outcome& a, const Outcome& b) { return a.index < b.index; });
  return all;
}

void predict(const Input& input, const std::string& name, const std::vector<Outcome>& outcomes) {
  for (const Outcome& one : outcomes) {
    Json line{{"query", name}, {"id", one.id}, {"kind", one.kind}, {"text", one.query.text}};
    for (const char* key : {"top", "scores", "right"}) line[key] = Json::array();
    for (const Answer& answer : one.query.answers) {
      line["top"].push_back(answer.text);
      line["scores"].push_back(rounded(answer.score));
      line["right"].push_back(answer.right);
    }
    line["values"] = one.values;
    if (!one.references.empty()) line["references"] = one.references;
    input.predictions->lines.push_back(line.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (static_cast<std::int64_t>(input.predictions->queries.size()) < input.predictions->samples) {
      input.predictions->queries.push_back(one.query);
    }
  }
}

}  // namespace

std::vector<Outcome> outcomes_of(const Input& input, const std::string& name, const Judge& judge,
                                 const Reading& reading) {
  const c10::NoGradGuard no_grad;
  const std::int64_t size = std::min(input.size, input.source->size());
  ReadNotes notes;
  data::Order order(Key(0), {{.size = input.source->size()}}, data::Order::Mix::weights,
                    /*shuffle=*/false);
  data::LoaderOptions loading = loader_options(input, size);
  loading.padding = reading.padding;
  data::Loader loader({std::make_shared<Noted>(input.source, notes)}, std::move(order),
                      reading.prepare ? reading.prepare : input.processor->prepare, loading);
  std::vector<Outcome> mine;
  for (std::int64_t start = 0; start < size; start += loading.global_batch) {
    if (input.between) input.between();
    judge_step(input, judge, loader.next(), size, notes, mine);
  }
  std::vector<Outcome> all = gathered(input, mine);
  if (all.empty()) {
    throw Error(ErrorKind::data, "[eval] expected samples that can be read; got none");
  }
  if (reading.finish) reading.finish(all);
  if (input.predictions != nullptr && input.mesh->rank() == 0) predict(input, name, all);
  return all;
}

void add_means(Metrics& metrics, const std::string& name, const std::vector<Outcome>& outcomes,
               std::size_t value) {
  struct Mean {
    double sum = 0, count = 0;
    void add(double one) {
      sum += one;
      count += 1;
    }
  };
  Mean all;
  std::map<std::string, Mean> kinds;
  for (const Outcome& one : outcomes) {
    all.add(one.values.at(value));
    kinds[one.kind].add(one.values.at(value));
  }
  metrics.emplace_back(name, all.sum / all.count);
  if (kinds.size() == 1) return;
  for (const auto& [kind, mean] : kinds) {
    metrics.emplace_back(name + "." + (kind.empty() ? "other" : kind), mean.sum / mean.count);
  }
}

}  // namespace tandem::eval
