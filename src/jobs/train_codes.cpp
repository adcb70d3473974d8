#include "tandem/jobs/train_codes.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/log.h"
#include "tandem/data/loader.h"
#include "tandem/models/visual_codes.h"
#include "tandem/tensor/kmeans.h"
#include "tandem/tensor/safetensors.h"

namespace tandem::jobs {
namespace {

namespace fs = std::filesystem;

// What follows from a job's settings. Letters as in tensor/kmeans.h.
struct CodesPlan {
  const models::LearnedCodes* codes = nullptr;
  std::int64_t pictures = 0, part = 0, parts = 0;  // part: pictures of one
};

CodesPlan plan_of(const CodesJob& job) {
  CodesPlan plan{.codes = models::learned_codes(*job.model)};
  if (plan.codes == nullptr || !job.processor->image) {
    throw Error(ErrorKind::config, "[codes] expected a model with visual codes; got another",
                job.name);
  }
  for (const auto& [name, source] : job.inputs) plan.pictures += source->size();
  plan.pictures = std::min(plan.pictures, job.samples);
  plan.part = (std::max(job.part, job.batch) + job.batch - 1) / job.batch * job.batch;
  plan.parts = (plan.pictures + plan.part - 1) / plan.part;
  return plan;
}

fs::path part_path(const CodesJob& job, std::int64_t number) {
  char name[40];
  std::snprintf(name, sizeof name, "%06lld.safetensors", static_cast<long long>(number));
  return job.folder / "patches" / name;
}

// --- The patches of pictures

Batch picture_of(const CodesJob& job, const data::Sample& sample) {
  if (sample.pictures.empty()) {
    throw Error(ErrorKind::data, "[codes] expected a picture; got none", sample.id);
  }
  Batch batch;
  batch.images = job.processor->image(sample.pictures[0]);
  return batch;
}

// Those of a picture that are taken: [N, F] -> [n, F].
at::Tensor drawn(const CodesJob& job, const at::Tensor& patches, std::int64_t position) {
  const std::int64_t all = patches.size(0);
  if (job.patches == 0 || job.patches >= all) return patches;
  const Key key = job.key.fold("patches").fold(static_cast<std::uint64_t>(position));
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < job.patches; ++i) {
    chosen.push_back(static_cast<std::int64_t>(
        permute(key, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(all))));
  }
  return patches.index_select(0, at::tensor(chosen, at::kLong));
}

data::Loader loader_of(const CodesJob& job, std::int64_t first, std::int64_t last) {
  std::vector<std::shared_ptr<const data::Source>> sources;
  std::vector<data::MixPart> sizes;
  for (const auto& [name, source] : job.inputs) {
    sources.push_back(source);
    sizes.push_back({.size = source->size()});
  }
  data::LoaderOptions options;
  options.global_batch = options.micro_batch = job.batch;
  options.threads = job.threads;
  options.start_position = first;
  options.end_position = last;
  options.train = false;
  data::Order order(job.key.fold("pictures"), sizes, data::Order::Mix::proportional);
  return {std::move(sources), std::move(order),
          [&job](const data::Sample& sample, Key, bool) { return picture_of(job, sample); },
          options};
}

void write_part(const CodesJob& job, const CodesPlan& plan, std::int64_t number) {
  const std::int64_t first = number * plan.part;
  const std::int64_t last = std::min(plan.pictures, first + plan.part);
  data::Loader loader = loader_of(job, first, last);
  std::vector<at::Tensor> rows;
  std::size_t bad = 0;
  for (std::int64_t at = first; at < last; at += job.batch) {
    const data::StepBatches step = loader.next();
    bad += step.bad.size();
    const Batch& batch = step.micro_batches.at(0);
    const at::Tensor patches = plan.codes->patches(batch.images->pixels);  // [B, N, F]
    for (std::int64_t i = 0; i < patches.size(0); ++i) {
      const std::int64_t position = batch.positions[static_cast<std::size_t>(i)];
      if (position < last) rows.push_back(drawn(job, patches[i], position));
    }
  }
  if (bad > 0) {
    log_warning("[" + job.name + "] others stand in for " + std::to_string(bad) +
                " pictures that cannot be used");
  }
  save_safetensors(part_path(job, number), {{"rows", at::cat(rows)}});
}

void write_parts(const CodesJob& job, const CodesPlan& plan) {
  make_directories(job.folder / "patches");
  const std::int64_t ranks = job.mesh->size();
  for (std::int64_t first = 0; first < plan.parts; first += ranks) {
    if (job.between) job.between();
    const std::int64_t own = first + job.mesh->rank();
    if (own < plan.parts && !fs::exists(part_path(job, own))) write_part(job, plan, own);
  }
  job.mesh->barrier();  // all are there
}

// All of them, [R, F].
at::Tensor read_parts(const CodesJob& job, const CodesPlan& plan) {
  const std::int64_t numbers = plan.codes->shape()[1];
  at::Tensor all;
  std::int64_t filled = 0;
  for (std::int64_t p = 0; p < plan.parts; ++p) {
    const std::int64_t pictures = std::min(plan.part, plan.pictures - p * plan.part);
    const TensorFile file = load_safetensors(part_path(job, p));
    const auto rows = file.tensors.find("rows");
    const bool fits = rows != file.tensors.end() && rows->second.dim() == 2 &&
                      rows->second.size(1) == numbers && rows->second.size(0) % pictures == 0;
    if (!fits || (all.defined() && filled + rows->second.size(0) > all.size(0))) {
      throw Error(ErrorKind::data,
                  "[codes] expected rows of " + std::to_string(pictures) + " pictures, " +
                      std::to_string(numbers) + " numbers each",
                  part_path(job, p).string(), "remove " + job.folder.string());
    }
    if (!all.defined()) {
      all = at::empty({plan.pictures * (rows->second.size(0) / pictures), numbers}, at::kFloat);
    }
    all.narrow(0, filled, rows->second.size(0)).copy_(rows->second);
    filled += rows->second.size(0);
  }
  return all.narrow(0, 0, filled);
}

// --- Rounds

// The nearest centers of all rows, each rank those of its run of rows: int64 [R] on the CPU.
at::Tensor shared_nearest(const CodesJob& job, const at::Tensor& rows, const at::Tensor& centers) {
  const std::int64_t size = rows.size(0), ranks = job.mesh->size(), rank = job.mesh->rank();
  const std::int64_t runs = (size + nearest_at_once - 1) / nearest_at_once;
  const std::int64_t first = std::min(size, runs * rank / ranks * nearest_at_once);
  const std::int64_t last = std::min(size, runs * (rank + 1) / ranks * nearest_at_once);
  const at::Tensor own = nearest_rows(rows.narrow(0, first, last - first), centers).cpu();
  return ranks == 1 ? own : at::cat(dist::all_gather_uneven(*job.mesh, own));
}

// Where k-means stands; [K, F] on the job's device.
struct Rounds {
  std::int64_t done = 0;
  at::Tensor centers{};
};

std::optional<Rounds> read_state(const CodesJob& job) {
  const fs::path path = job.folder / "state.safetensors";
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const TensorFile file = load_safetensors(path);
  Rounds state;
  state.centers = file.tensors.at("centers").to(job.device);
  state.done = file.tensors.at("rounds").item<std::int64_t>();
  log_info("[" + job.name + "] goes on after " + std::to_string(state.done) + " rounds");
  return state;
}

void write_state(const CodesJob& job, const Rounds& state) {
  if (job.mesh->rank() != 0) return;
  save_safetensors(job.folder / "state.safetensors",
                   {{"centers", state.centers}, {"rounds", at::tensor(state.done, at::kLong)}});
}

Rounds centers_of(const CodesJob& job, const CodesPlan& plan, const at::Tensor& rows) {
  const at::Tensor near = rows.to(job.device);
  std::optional<Rounds> found = read_state(job);
  job.mesh->barrier();  // all have read it before it is written
  Rounds state = found ? *found : Rounds{};
  if (!found) {
    state.centers = spread_rows(near, plan.codes->shape()[0], job.key.fold("codes"), job.between);
  }
  while (state.done < job.rounds) {
    if (job.between) job.between();
    const at::Tensor owner = shared_nearest(job, near, state.centers);
    const at::Tensor moved = means_of_rows(rows, owner, state.centers);
    const bool rests = at::equal(moved, state.centers);
    state.centers = moved;
    ++state.done;
    write_state(job, state);
    if (rests) break;
  }
  return state;
}

// How good they are, for a person, and the file.
void finish(const CodesJob& job, const at::Tensor& rows, const Rounds& state) {
  const at::Tensor centers = state.centers.cpu();
  const at::Tensor owner = shared_nearest(job, rows.to(job.device), state.centers);
  if (job.mesh->rank() != 0) return;
  double squares = 0;
  for (std::int64_t first = 0; first < rows.size(0); first += nearest_at_once) {
    const std::int64_t some = std::min(nearest_at_once, rows.size(0) - first);
    const at::Tensor nearest = centers.index_select(0, owner.narrow(0, first, some));
    squares += (rows.narrow(0, first, some) - nearest).square().sum(at::kDouble).item<double>();
  }
  const double mean = squares / static_cast<double>(rows.numel());
  const std::int64_t used =
      at::zeros({centers.size(0)}, at::kLong).index_fill_(0, owner, 1).sum().item<std::int64_t>();
  char text[160];
  std::snprintf(text, sizeof text,
                "%lld codes of %lld patches, %lld in use, mean squared distance %.4g a number, "
                "after %lld rounds",
                static_cast<long long>(centers.size(0)), static_cast<long long>(rows.size(0)),
                static_cast<long long>(used), mean, static_cast<long long>(state.done));
  log_info("[" + job.name + "] " + text);
  save_safetensors(job.folder / codes_file, {{"centers", centers}}, {{"about", text}});
}

void remove_leftovers(const CodesJob& job) {
  if (job.mesh->rank() == 0) {
    std::error_code ignored;
    fs::remove_all(job.folder / "patches", ignored);
    fs::remove(job.folder / "state.safetensors", ignored);
  }
  job.mesh->barrier();
}

}  // namespace

void train_codes(const CodesJob& job) {
  const at::NoGradGuard no_grad;
  const OneThread one;  // the same bits for any number of threads
  const CodesPlan plan = plan_of(job);
  std::error_code error;
  if (!fs::exists(job.folder / codes_file, error)) {
    write_parts(job, plan);
    const at::Tensor rows = read_parts(job, plan);
    if (rows.size(0) < plan.codes->shape()[0]) {
      throw Error(ErrorKind::config,
                  "[codes] expected at least as many patches as codes (" +
                      std::to_string(plan.codes->shape()[0]) + "); got " +
                      std::to_string(rows.size(0)),
                  "stages." + job.name + ".job", "raise samples or patches");
    }
    finish(job, rows, centers_of(job, plan, rows));
  }
  job.mesh->barrier();  // the file is there, or was when all looked
  remove_leftovers(job);
}

}  // namespace tandem::jobs
