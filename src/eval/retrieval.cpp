#include "eval/retrieval.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>
#include <map>

#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/loader.h"

namespace tandem::eval {
namespace {

struct Embedded {
  at::Tensor image, text;  // [N, D] fp32 on the CPU, N without the bad samples
  at::Tensor picture_ids;  // [N] int64
  at::Tensor groups;       // [N] int64
};

// The samples that this rank embeds: every W-th batch of the source, in order.
data::LoaderOptions options_for(const Input& input, std::int64_t size) {
  data::LoaderOptions options;
  options.world_size = input.mesh->size();
  options.rank = input.mesh->rank();
  options.micro_batch = input.batch;
  options.global_batch = input.batch * options.world_size;
  options.threads = input.threads;
  options.end_position = size;
  options.pad_id = input.processor->pad_id;
  options.train = false;
  return options;
}

// Rows of the ranks' batches back in the order of the source, without those past its end.
at::Tensor in_order(const Input& input, std::vector<at::Tensor> batches, std::int64_t size) {
  const at::Tensor mine = at::cat(batches, 0);  // [steps * batch, ...]
  const at::Tensor all =
      dist::all_gather(*input.mesh, mine.contiguous());  // [W, steps * batch, ...]
  std::vector<std::int64_t> shape(all.sizes().begin() + 2, all.sizes().end());
  const std::int64_t steps = all.size(1) / input.batch;
  shape.insert(shape.begin(), {all.size(0), steps, input.batch});
  return all.view(shape).transpose(0, 1).flatten(0, 2).slice(0, 0, size);
}

// A source whose samples also say their group, through the numbers that the loader carries.
class Grouped final : public data::Source {
 public:
  explicit Grouped(std::shared_ptr<const data::Source> inner) : inner_(std::move(inner)) {}
  std::int64_t size() const override { return inner_->size(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  data::Sample read(std::int64_t index) const override {
    data::Sample sample = inner_->read(index);
    sample.picture_id = sample.group;
    return sample;
  }

 private:
  std::shared_ptr<const data::Source> inner_;
};

Embedded embed(const Input& input, bool by_group) {
  const models::Abilities abilities = input.model->abilities();
  if (!abilities.embed_image || !abilities.embed_text) {
    throw Error(ErrorKind::config,
                "[eval] expected a model that embeds pictures and texts for retrieval; got one "
                "that cannot");
  }
  const c10::NoGradGuard no_grad;
  const std::int64_t size = std::min(input.size, input.source->size());
  data::Order order(Key(0), {{.size = input.source->size()}}, data::Order::Mix::weights,
                    /*shuffle=*/false);
  std::shared_ptr<const data::Source> source = input.source;
  if (by_group) source = std::make_shared<Grouped>(source);
  const data::LoaderOptions options = options_for(input, size);
  data::Loader loader({source}, std::move(order), input.processor->prepare, options);
  std::vector<at::Tensor> images, texts, ids, good;
  for (std::int64_t start = 0; start < size; start += options.global_batch) {
    if (input.between) input.between();
    data::StepBatches step = loader.next();
    const Batch& host = step.micro_batches.at(0);
    at::Tensor kept = at::full({host.size()}, 1, at::kByte);
    for (const data::BadSample& bad : step.bad) {
      log_warning("[eval] left out " + bad.id + ": " + bad.reason);
      kept[bad.position % input.batch] = 0;
    }
    good.push_back(kept);
    ids.push_back(host.picture_ids);
    if (!host.images || !host.text) {
      throw Error(ErrorKind::config, "[eval] expected pictures with texts for retrieval");
    }
    const Batch batch = to(host, input.device);
    images.push_back(abilities.embed_image(*batch.images).to(at::kCPU, at::kFloat));
    texts.push_back(abilities.embed_text(*batch.text).to(at::kCPU, at::kFloat));
  }
  Embedded out;
  const at::Tensor rows = in_order(input, good, size).nonzero().squeeze(1);
  out.image = in_order(input, images, size).index_select(0, rows);
  out.text = in_order(input, texts, size).index_select(0, rows);
  out.picture_ids = in_order(input, ids, size).index_select(0, rows);
  out.groups = out.picture_ids;
  return out;
}

void add_recalls(Metrics& metrics, const std::string& name, const at::Tensor& places) {
  for (const int k : {1, 5, 10}) {
    metrics.emplace_back(name + ".r" + std::to_string(k),
                         places.lt(k).to(at::kDouble).mean().item<double>());
  }
}

}  // namespace

at::Tensor first_right_place(const at::Tensor& scores, const at::Tensor& right) {
  const double low = -std::numeric_limits<double>::infinity();
  const at::Tensor best =
      at::where(right, scores, at::full({}, low, scores.options())).amax(1, true);
  // Wrong ones that score as much or more stand before it.
  return scores.ge(best).logical_and(right.logical_not()).sum(1);
}

Metrics retrieval(const Input& input) {
  const Embedded found = embed(input, false);
  if (found.image.size(0) == 0) {
    throw Error(ErrorKind::data, "[eval] expected samples that can be read; got none");
  }
  // A picture with several captions stands once in the gallery of pictures: its first row.
  std::map<std::int64_t, std::int64_t> first;
  std::vector<std::int64_t> rows;
  const at::Tensor ids = found.picture_ids.contiguous();
  for (std::int64_t i = 0; i < ids.size(0); ++i) {
    if (first.try_emplace(ids.const_data_ptr<std::int64_t>()[i], i).second) rows.push_back(i);
  }
  at::Tensor unique = at::full({static_cast<std::int64_t>(rows.size())}, 0, at::kLong);
  std::copy(rows.begin(), rows.end(), unique.mutable_data_ptr<std::int64_t>());
  const at::Tensor image = found.image.index_select(0, unique);
  const at::Tensor scores = image.matmul(found.text.t());  // [pictures, texts]
  const at::Tensor right =
      ids.index_select(0, unique).unsqueeze(1).eq(ids.unsqueeze(0));  // [pictures, texts]
  Metrics metrics;
  add_recalls(metrics, "image_to_text", first_right_place(scores, right));
  add_recalls(metrics, "text_to_image", first_right_place(scores.t(), right.t()));
  double sum = 0;
  for (const auto& [name, value] : metrics) sum += value;
  metrics.emplace_back("mean", sum / static_cast<double>(metrics.size()));
  return metrics;
}

Metrics hard_retrieval(const Input& input) {
  const Embedded found = embed(input, true);
  const at::Tensor groups = found.groups;
  if (groups.lt(0).any().item<bool>()) {
    throw Error(ErrorKind::config,
                "[eval] expected a source with groups for `hard`; got one without", "",
                "{format: world, split: hard}");
  }
  const at::Tensor same = groups.unsqueeze(1).eq(groups.unsqueeze(0));  // [N, N]
  const double low = -std::numeric_limits<double>::infinity();
  const at::Tensor all = found.image.matmul(found.text.t());
  const at::Tensor scores = at::where(same, all, at::full({}, low, all.options()));
  const at::Tensor numbers = at::arange(groups.size(0), at::kLong);
  const at::Tensor right = numbers.unsqueeze(1).eq(numbers.unsqueeze(0));
  const auto share = [&](const at::Tensor& table) {
    return first_right_place(table, right).eq(0).to(at::kDouble).mean().item<double>();
  };
  return {{"image_to_text", share(scores)}, {"text_to_image", share(scores.t())}};
}

}  // namespace tandem::eval
