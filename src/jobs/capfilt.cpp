#include "tandem/jobs/capfilt.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/data/judged.h"
#include "tandem/data/loader.h"
#include "tandem/data/written_shard.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t largest_part = std::int64_t{1} << 31;

// A run of samples of one input.
struct Part {
  std::size_t input = 0;
  std::int64_t first = 0, last = 0, number = 0;
};

std::vector<Part> parts_of(const CapfiltJob& job) {
  const std::int64_t length =
      (std::max(job.part, job.batch) + job.batch - 1) / job.batch * job.batch;
  std::vector<Part> parts;
  for (std::size_t i = 0; i < job.inputs.size(); ++i) {
    const std::int64_t size = job.inputs[i].source->size();
    for (std::int64_t at = 0; at < size; at += length) {
      parts.push_back(
          {i, at, std::min(size, at + length), static_cast<std::int64_t>(parts.size())});
    }
  }
  return parts;
}

std::string digits(std::int64_t number, std::size_t least) {
  std::string text = std::to_string(number);
  if (text.size() < least) text.insert(0, least - text.size(), '0');
  return text;
}

fs::path path_of(const CapfiltJob& job, const Part& part, const char* ending = ".jsonl") {
  return job.folder / (digits(part.number, 6) + ending);
}

bool is_there(const CapfiltJob& job, const Part& part) {
  std::error_code error;
  return fs::exists(path_of(job, part), error) &&
         (!job.shards || fs::exists(path_of(job, part, ".tar"), error));
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double rounded(double value) { return std::round(value * 1e6) / 1e6; }

// What the lines of captions have in common. A caption that was written for a picture of another
// source stays that source's.
Json line_of(const CapfiltJob& job, const CapfiltInput& input, std::int64_t index,
             const std::string& id, bool written) {
  const auto* judged = dynamic_cast<const data::JudgedSource*>(input.source.get());
  const data::JudgedSource::Origin origin =
      judged != nullptr ? judged->origin(index) : data::JudgedSource::Origin{input.name, index};
  return {{"source", origin.source},
          {"index", origin.index},
          {"id", id},
          {"from", written ? job.name : input.name}};
}

// Puts what a batch's rows say into their lines, in the order of the rows.
using Say = std::function<void(const Batch& batch, const std::vector<Json*>& lines)>;

// What is said of a sample of the input, or of one of its texts.
struct Line {
  std::int64_t position = 0;
  Json json{};
};

// The samples of a part, each once for every text that it has.
class TextsApart final : public data::Source {
 public:
  TextsApart(std::shared_ptr<const data::Source> source, const Part& part)
      : source_(std::move(source)) {
    for (std::int64_t position = part.first; position < part.last; ++position) {
      const std::size_t count = std::max<std::size_t>(1, texts_of(position));
      for (std::size_t i = 0; i < count; ++i) rows_.emplace_back(position, i);
    }
  }
  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  std::string fingerprint() const override { return source_->fingerprint(); }
  data::Sample read(std::int64_t row) const override {
    return with_one(row, source_->read(at(row)));
  }
  data::Sample peek(std::int64_t row) const override {
    return with_one(row, source_->peek(at(row)));
  }
  // Where the sample stands in its source.
  std::int64_t at(std::int64_t row) const { return rows_.at(static_cast<std::size_t>(row)).first; }

 private:
  // One that cannot be read is told as such when it is its turn.
  std::size_t texts_of(std::int64_t position) const {
    try {
      return source_->peek(position).texts.size();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      return 1;
    }
  }
  data::Sample with_one(std::int64_t row, data::Sample sample) const {
    const std::size_t text = rows_[static_cast<std::size_t>(row)].second;
    if (sample.texts.size() > 1) sample.texts = {sample.texts.at(text)};
    return sample;
  }

  std::shared_ptr<const data::Source> source_;
  std::vector<std::pair<std::int64_t, std::size_t>> rows_{};
};

// What a job goes through of a part: its samples, or each of their texts.
struct Walk {
  std::shared_ptr<const data::Source> source{};
  std::int64_t first = 0, last = 0;
  std::shared_ptr<const TextsApart> apart{};  // null: samples

  // In the input's source.
  std::int64_t place(std::int64_t position) const { return apart ? apart->at(position) : position; }
};

Walk walk_of(const CapfiltJob& job, const Part& part, bool writes) {
  const std::shared_ptr<const data::Source>& source = job.inputs[part.input].source;
  if (writes) return {source, part.first, part.last, nullptr};
  auto apart = std::make_shared<const TextsApart>(source, part);
  return {apart, 0, apart->size(), apart};
}

data::Loader loader_along(const Walk& walk, const CapfiltJob& job, const data::Prepare& prepare,
                          Padding padding) {
  data::LoaderOptions options;
  options.global_batch = options.micro_batch = job.batch;
  options.threads = job.threads;
  options.start_position = walk.first;
  options.end_position = walk.last;
  options.pad_id = job.processor->pad_id;
  options.padding = padding;
  options.train = false;
  data::Order order(Key(0), {{.size = walk.source->size()}}, data::Order::Mix::weights,
                    /*shuffle=*/false);
  return data::Loader({walk.source}, std::move(order), prepare, options);
}

// The lines of a part: of samples that cannot be read or prepared only what is wrong with them.
std::vector<Line> made(const CapfiltJob& job, const Part& part, const data::Prepare& prepare,
                       Padding padding, bool writes, const Say& say) {
  const CapfiltInput& input = job.inputs[part.input];
  const Walk walk = walk_of(job, part, writes);
  data::Loader loader = loader_along(walk, job, prepare, padding);
  std::vector<Line> all;
  for (std::int64_t at = walk.first; at < walk.last; at += job.batch) {
    const data::StepBatches step = loader.next();
    const Batch& host = step.micro_batches.at(0);
    std::map<std::int64_t, std::string> bad;
    for (const data::BadSample& one : step.bad) bad[one.position] = one.reason;
    std::vector<Json> lines(host.positions.size());
    std::vector<Json*> good(host.positions.size(), nullptr);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::int64_t position = host.positions[i];
      if (position >= walk.last) continue;
      const auto wrong = bad.find(position);
      if (wrong != bad.end()) {
        lines[i] = line_of(job, input, walk.place(position), "", writes);
        lines[i].update({{"text", ""}, {"kept", false}, {"why", wrong->second}});
        continue;
      }
      const data::Sample sample = walk.source->peek(position);
      lines[i] = line_of(job, input, walk.place(position), sample.id, writes);
      if (!writes) {
        lines[i]["text"] = sample.texts.at(0);
        if (sample.label >= 0) {
          lines[i]["label"] = sample.label;
          lines[i]["kind"] = sample.kind;
        }
      }
      good[i] = &lines[i];
    }
    say(to(host, job.device), good);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (!lines[i].is_null()) all.push_back({walk.place(host.positions[i]), std::move(lines[i])});
    }
  }
  return all;
}

// What is kept of a part, with its pictures.
void write_shard(const CapfiltJob& job, const Part& part, const std::vector<Line>& lines) {
  const data::Source& source = *job.inputs[part.input].source;
  replace_file(path_of(job, part, ".tar"), 0, [&](FileWriter& file) {
    data::ShardWriter shard(file);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const Json& json = lines[i].json;
      if (!json.at("kept").get<bool>()) continue;
      const data::Sample sample = source.read(lines[i].position);
      shard.add(digits(part.number, 6) + "_" + digits(static_cast<std::int64_t>(i), 6),
                sample.pictures.at(0), json.at("text").get<std::string>(), text_of(json));
    }
    shard.finish();
  });
}

void write_part(const CapfiltJob& job, const Part& part, const std::vector<Line>& lines) {
  if (job.shards) write_shard(job, part, lines);
  std::string text;
  for (const Line& line : lines) text += text_of(line.json) + "\n";
  replace_file(path_of(job, part), text);
}

// --- The summary

struct Judged {
  double match = 0;
  bool kept = false;
};

// P(a true caption's match is above a wrong one's); equal ones count half.
double area_under_curve(const std::vector<Judged>& right, const std::vector<Judged>& wrong) {
  std::vector<std::pair<double, bool>> all;
  for (const Judged& one : right) all.emplace_back(one.match, true);
  for (const Judged& one : wrong) all.emplace_back(one.match, false);
  std::sort(all.begin(), all.end());
  double wins = 0, below = 0;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    double rights = 0, wrongs = 0;
    for (; end < all.size() && all[end].first == all[i].first; ++end) {
      (all[end].second ? rights : wrongs) += 1;
    }
    wins += rights * (below + wrongs / 2);
    below += wrongs;
    i = end;
  }
  return wins / (static_cast<double>(right.size()) * static_cast<double>(wrong.size()));
}

double share_kept(const std::vector<Judged>& all) {
  double kept = 0;
  for (const Judged& one : all) kept += one.kept ? 1 : 0;
  return all.empty() ? 0 : kept / static_cast<double>(all.size());
}

struct Counts {
  std::int64_t captions = 0, kept = 0;
  std::map<std::string, std::vector<Judged>> kinds{};  // where it is known; "true": those that are
};

void count(const Json& line, std::map<std::string, Counts>& all) {
  Counts& counts = all[line.at("from").get<std::string>()];
  const bool kept = line.at("kept").get<bool>();
  ++counts.captions;
  counts.kept += kept ? 1 : 0;
  if (!line.contains("label") || !line.contains("match")) return;
  const bool right = line.at("label").get<std::int64_t>() == 1;
  const std::string kind = right ? "true" : line.at("kind").get<std::string>();
  counts.kinds[kind].push_back({line.at("match").get<double>(), kept});
}

Json summary_of(const Counts& counts) {
  Json json{{"captions", counts.captions}, {"kept", counts.kept}};
  const auto right = counts.kinds.find("true");
  for (const auto& [kind, judged] : counts.kinds) {
    Json one{{"captions", judged.size()}, {"kept", rounded(share_kept(judged))}};
    if (kind != "true" && right != counts.kinds.end()) {
      one["auc"] = rounded(area_under_curve(right->second, judged));
    }
    json["kinds"][kind] = one;
  }
  return json;
}

void summarise(const CapfiltJob& job, const std::vector<Part>& parts) {
  std::map<std::string, Counts> all;
  for (const Part& part : parts) {
    const std::string text = read_file(path_of(job, part), largest_part);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      count(Json::parse(text.substr(at, end - at)), all);
      at = end + 1;
    }
  }
  Json json;
  for (const auto& [from, counts] : all) {
    json[from] = summary_of(counts);
    log_info("[" + job.name + "] of " + std::to_string(counts.captions) + " captions of " + from +
             ", " + std::to_string(counts.kept) + " are kept");
  }
  replace_file(job.folder / "summary.json", json.dump(1) + "\n");
}

void run(const CapfiltJob& job, const data::Prepare& prepare, Padding padding, bool writes,
         const Say& say) {
  const at::NoGradGuard no_grad;
  if (is_finished(job.folder)) return;
  make_directories(job.folder);
  job.model->train(false);
  const std::vector<Part> parts = parts_of(job);
  const auto ranks = static_cast<std::size_t>(job.mesh->size());
  std::size_t there = 0;
  for (const Part& part : parts) there += is_there(job, part) ? 1 : 0;
  if (there > 0) {
    log_info("[" + job.name + "] goes on: " + std::to_string(there) + " of " +
             std::to_string(parts.size()) + " parts are there");
  }
  for (std::size_t first = 0; first < parts.size(); first += ranks) {
    if (job.between) job.between();
    const std::size_t own = first + static_cast<std::size_t>(job.mesh->rank());
    if (own >= parts.size() || is_there(job, parts[own])) continue;
    write_part(job, parts[own], made(job, parts[own], prepare, padding, writes, say));
  }
  job.mesh->barrier();  // all parts are there
  if (job.mesh->rank() == 0) summarise(job, parts);
  job.mesh->barrier();
}

}  // namespace

bool is_finished(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "summary.json", error);
}

void write_captions(const CapfiltJob& job) {
  const auto generate = job.model->abilities().generate;
  if (!generate || !job.processor->prompt || !job.processor->decode) {
    throw Error(ErrorKind::config, "[caption] expected a model that writes; got another");
  }
  const data::Prepare prepare = [&](const data::Sample& sample, Key, bool) {
    return job.processor->prompt(sample, job.prompt);
  };
  const Say say = [&](const Batch& batch, const std::vector<Json*>& lines) {
    const auto texts = generate(batch, models::keyed_by(job.generate, batch.positions));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i] == nullptr) continue;
      const std::string text = job.processor->decode(texts[i]);
      const bool words = text.find_first_not_of(" \t\n") != std::string::npos;
      lines[i]->update({{"text", text}, {"kept", words}, {"why", words ? "written" : "no words"}});
    }
  };
  run(job, prepare, job.processor->prompt_padding, /*writes=*/true, say);
}

void filter_captions(const CapfiltJob& job) {
  const auto match = job.model->abilities().match;
  if (!match || !job.processor->prepare) {
    throw Error(ErrorKind::config, "[filter] expected a model that matches; got another");
  }
  const data::Prepare prepare = [&](const data::Sample& sample, Key key, bool) {
    return job.processor->prepare(sample, key, /*train=*/false);
  };
  const Say say = [&](const Batch& batch, const std::vector<Json*>& lines) {
    const at::Tensor scores = match(batch).to(at::kCPU, at::kDouble).contiguous();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i] == nullptr) continue;
      const double score = scores.const_data_ptr<double>()[i];
      if (!std::isfinite(score)) {
        lines[i]->update({{"kept", false}, {"why", "its match is no number"}});
        continue;
      }
      const bool kept = score > job.threshold;
      char why[96];
      std::snprintf(why, sizeof why, "match %.3f is %s %.3f", score, kept ? "above" : "not above",
                    job.threshold);
      lines[i]->update({{"match", rounded(score)}, {"kept", kept}, {"why", why}});
    }
  };
  run(job, prepare, Padding::right, /*writes=*/false, say);
}

}  // namespace tandem::jobs
