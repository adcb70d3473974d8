#include "tandem/eval/gallery.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "eval/loading.h"
#include "tandem/base/error.h"
#include "tandem/base/log.h"
#include "tandem/data/loader.h"

namespace tandem::eval {
namespace {

using PlainJson = nlohmann::json;

// What the loader's threads found beside the picture's pixels, by index.
struct FoundEntry {
  Entry entry{};
  std::vector<Batch> texts{};  // tokens
};
struct FoundNotes {
  std::mutex mutex{};
  std::map<std::int64_t, FoundEntry> found{};
};

FoundEntry take(FoundNotes& notes, std::int64_t index) {
  const std::lock_guard lock(notes.mutex);
  FoundEntry found = std::move(notes.found.at(index));
  notes.found.erase(index);
  return found;
}

// A source whose samples also say their index, through the number that the loader carries.
class Indexed final : public data::Source {
 public:
  Indexed(std::shared_ptr<const data::Source> inner, FoundNotes& notes)
      : inner_(std::move(inner)), notes_(notes) {}
  std::int64_t size() const override { return inner_->size(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  data::Sample read(std::int64_t index) const override {
    data::Sample sample = inner_->read(index);
    {
      const std::lock_guard lock(notes_.mutex);
      Entry& entry = notes_.found[index].entry;
      // Past its end the source begins again, maybe before its first samples were taken: what
      // stands there, texts included, stays.
      entry.index = index;
      entry.id = sample.id;
      entry.picture_id = sample.picture_id;
      entry.group = sample.group;
      entry.label = sample.label;
    }
    sample.picture_id = index;
    return sample;
  }

 private:
  std::shared_ptr<const data::Source> inner_;
  FoundNotes& notes_;
};

// One picture of a sample to a Batch; its texts, as tokens, to the notes.
data::Prepare prepare_with(const Input& input, const GalleryOptions& options, FoundNotes& notes) {
  return [&input, options, &notes](const data::Sample& sample, Key, bool) {
    const auto refuse = [&](const char* what) {
      throw Error(ErrorKind::data, std::string("[eval] expected ") + what, sample.id);
    };
    Batch batch;
    if (options.images) {
      if (sample.pictures.empty()) refuse("a picture; got none");
      batch.images = input.processor->image(sample.pictures[0]);
    }
    if (options.texts && sample.texts.empty()) refuse("a caption; got none");
    std::vector<std::string> texts = sample.texts;
    if (options.captions > 0 && static_cast<std::int64_t>(texts.size()) > options.captions) {
      texts.resize(static_cast<std::size_t>(options.captions));
    }
    std::vector<Batch> tokens;
    for (const std::string& text : texts) {
      if (!options.texts) break;
      tokens.push_back({.positions = {0}, .text = input.processor->text(text)});
    }
    const std::lock_guard lock(notes.mutex);
    FoundEntry& found = notes.found[sample.picture_id];
    found.entry.texts = std::move(texts);
    found.texts = std::move(tokens);
    return batch;
  };
}

at::Tensor embed_tokens(const Input& input, const models::Abilities& can,
                        const std::vector<Batch>& texts) {
  const Batch batch = to(collate(texts, input.processor->pad_id), input.device);
  return can.embed_text(*batch.text).to(at::kCPU, at::kFloat);
}

// In runs of input.batch, the last one shorter: what a row is computed with depends on the source
// alone.
void embed_texts_of(const Input& input, const models::Abilities& can,
                    const std::vector<Batch>& texts, std::vector<at::Tensor>& rows) {
  const auto batch = static_cast<std::size_t>(input.batch);
  for (std::size_t first = 0; first < texts.size(); first += batch) {
    const std::size_t last = std::min(first + batch, texts.size());
    rows.push_back(embed_tokens(input, can,
                                {texts.begin() + static_cast<std::ptrdiff_t>(first),
                                 texts.begin() + static_cast<std::ptrdiff_t>(last)}));
  }
}

struct Mine {
  std::vector<Entry> entries{};
  std::vector<at::Tensor> images{}, texts{};
};

// One step of the loader: the rows of its samples, and their entries.
void embed_step(const Input& input, const GalleryOptions& options, const models::Abilities& can,
                const data::StepBatches& step, std::int64_t size, FoundNotes& notes, Mine& mine) {
  const Batch& host = step.micro_batches.at(0);
  std::set<std::int64_t> bad;
  for (const data::BadSample& one : step.bad) {
    if (one.position < size) log_warning("[eval] left out " + one.id + ": " + one.reason);
    bad.insert(one.position);
  }
  std::vector<std::int64_t> kept;
  std::vector<Batch> texts;
  for (std::size_t i = 0; i < host.positions.size(); ++i) {
    const std::int64_t position = host.positions[i];
    if (position >= size || bad.contains(position)) continue;
    FoundEntry found = take(notes, position);
    kept.push_back(static_cast<std::int64_t>(i));
    for (Batch& text : found.texts) texts.push_back(std::move(text));
    mine.entries.push_back(std::move(found.entry));
  }
  if (!options.embed) return;
  if (options.images) {
    const at::Tensor rows =
        can.embed_image(*to(host, input.device).images).to(at::kCPU, at::kFloat);
    for (const std::int64_t row : kept) mine.images.push_back(rows.slice(0, row, row + 1));
  }
  embed_texts_of(input, can, texts, mine.texts);
}

std::string json_of(const std::vector<Entry>& entries) {
  PlainJson all = PlainJson::array();
  for (const Entry& one : entries) {
    all.push_back(
        PlainJson::array({one.index, one.id, one.picture_id, one.group, one.label, one.texts}));
  }
  return all.dump(-1, ' ', false, PlainJson::error_handler_t::replace);
}

std::vector<Entry> entries_of(const std::string& text) {
  std::vector<Entry> entries;
  for (const PlainJson& one : PlainJson::parse(text)) {
    Entry entry;
    one.at(0).get_to(entry.index);
    one.at(1).get_to(entry.id);
    one.at(2).get_to(entry.picture_id);
    one.at(3).get_to(entry.group);
    one.at(4).get_to(entry.label);
    one.at(5).get_to(entry.texts);
    entries.push_back(std::move(entry));
  }
  return entries;
}

// The rows of all ranks, one rank behind the other. A rank without any gives none.
at::Tensor gathered(const Input& input, const std::vector<at::Tensor>& rows) {
  std::vector<at::Tensor> all;
  // A rank that has none does not know their shape: all say it first, [D] or [K, D].
  at::Tensor shape = at::zeros({2}, at::kLong);
  if (!rows.empty()) {
    if (rows[0].dim() == 3) shape[0].fill_(rows[0].size(1));
    shape[1].fill_(rows[0].size(-1));
  }
  for (const at::Tensor& one : dist::all_gather(*input.mesh, shape).view({-1, 2}).unbind(0)) {
    if (one[1].item<std::int64_t>() > 0) shape = one;
  }
  const auto each = shape[0].item<std::int64_t>(), columns = shape[1].item<std::int64_t>();
  std::vector<std::int64_t> empty{0};
  if (each > 0) empty.push_back(each);
  empty.push_back(columns);
  const at::Tensor mine = rows.empty() ? at::empty(empty, at::kFloat) : at::cat(rows, 0);
  return at::cat(dist::all_gather_uneven(*input.mesh, mine.contiguous()), 0);
}

at::Tensor indices(const std::vector<std::int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

models::Abilities abilities_for(const Input& input, const GalleryOptions& options) {
  models::Abilities can = input.model->abilities();
  const auto lacks = [&](const auto& embed, const auto& prepare) {
    return (options.embed && !embed) || !prepare;
  };
  if ((options.images && lacks(can.embed_image, input.processor->image)) ||
      (options.texts && lacks(can.embed_text, input.processor->text))) {
    throw Error(ErrorKind::config,
                "[eval] expected a model that embeds pictures and texts; got one that cannot");
  }
  return can;
}

// Entries of all ranks in the order of the source, pictures merged, rows in their order.
Gallery assemble(const Input& input, const GalleryOptions& options, const Mine& mine) {
  std::vector<Entry> all;
  for (const std::string& text : dist::all_gather_text(*input.mesh, json_of(mine.entries))) {
    for (Entry& one : entries_of(text)) all.push_back(std::move(one));
  }
  // Where the rows of each entry's texts start, one rank behind the other.
  std::vector<std::int64_t> first_text(all.size() + 1, 0);
  for (std::size_t i = 0; i < all.size(); ++i) {
    first_text[i + 1] = first_text[i] + static_cast<std::int64_t>(all[i].texts.size());
  }
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return all[a].index < all[b].index; });

  Gallery gallery;
  std::map<std::int64_t, std::size_t> known;
  std::vector<std::int64_t> image_rows;
  std::vector<std::vector<std::int64_t>> text_rows;  // by entry
  for (const std::size_t i : order) {
    const std::int64_t picture = options.merge ? all[i].picture_id : all[i].index;
    const auto [place, fresh] = known.try_emplace(picture, gallery.entries.size());
    if (fresh) {
      gallery.entries.push_back(all[i]);
      gallery.entries.back().texts.clear();
      image_rows.push_back(static_cast<std::int64_t>(i));
      text_rows.emplace_back();
    }
    Entry& entry = gallery.entries[place->second];
    for (std::size_t t = 0; t < all[i].texts.size(); ++t) {
      if (options.captions > 0 &&
          static_cast<std::int64_t>(entry.texts.size()) >= options.captions) {
        break;
      }
      entry.texts.push_back(all[i].texts[t]);
      text_rows[place->second].push_back(first_text[i] + static_cast<std::int64_t>(t));
    }
  }
  std::vector<std::int64_t> texts, owners;
  for (std::size_t i = 0; i < text_rows.size(); ++i) {
    texts.insert(texts.end(), text_rows[i].begin(), text_rows[i].end());
    owners.insert(owners.end(), text_rows[i].size(), static_cast<std::int64_t>(i));
  }
  if (options.texts) gallery.owner = indices(owners);
  if (!options.embed) return gallery;
  if (options.images) {
    gallery.image = gathered(input, mine.images).index_select(0, indices(image_rows));
  }
  if (options.texts) {
    gallery.text = gathered(input, mine.texts).index_select(0, indices(texts));
  }
  return gallery;
}

}  // namespace

bool can_embed(const Input& input) {
  const models::Abilities can = input.model->abilities();
  return can.embed_image && can.embed_text;
}

Gallery embed_gallery(const Input& input, const GalleryOptions& options) {
  const models::Abilities can = abilities_for(input, options);
  const c10::NoGradGuard no_grad;
  const std::int64_t size = std::min(input.size, input.source->size());
  FoundNotes notes;
  data::Order order(Key(0), {{.size = input.source->size()}}, data::Order::Mix::weights,
                    /*shuffle=*/false);
  const data::LoaderOptions loading = loader_options(input, size);
  data::Loader loader({std::make_shared<Indexed>(input.source, notes)}, std::move(order),
                      prepare_with(input, options, notes), loading);
  Mine mine;
  for (std::int64_t start = 0; start < size; start += loading.global_batch) {
    if (input.between) input.between();
    embed_step(input, options, can, loader.next(), size, notes, mine);
  }
  Gallery gallery = assemble(input, options, mine);
  if (gallery.entries.empty()) {
    throw Error(ErrorKind::data, "[eval] expected samples that can be read; got none");
  }
  return gallery;
}

at::Tensor embed_texts(const Input& input, const std::vector<std::string>& texts) {
  const models::Abilities can = abilities_for(input, {.images = false});
  const c10::NoGradGuard no_grad;
  const auto batch = static_cast<std::size_t>(input.batch);
  const auto ranks = static_cast<std::size_t>(input.mesh->size());
  std::vector<at::Tensor> mine;
  std::vector<std::int64_t> order;  // of the rows, one rank behind the other
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    for (std::size_t first = rank * batch; first < texts.size(); first += ranks * batch) {
      const std::size_t last = std::min(first + batch, texts.size());
      std::vector<Batch> tokens;
      for (std::size_t i = first; i < last; ++i) {
        order.push_back(static_cast<std::int64_t>(i));
        if (static_cast<int>(rank) == input.mesh->rank()) {
          tokens.push_back({.positions = {0}, .text = input.processor->text(texts[i])});
        }
      }
      if (!tokens.empty()) mine.push_back(embed_tokens(input, can, tokens));
    }
  }
  return gathered(input, mine).index_select(0, indices(order).argsort());
}

}  // namespace tandem::eval
