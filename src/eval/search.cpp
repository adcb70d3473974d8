#include "tandem/eval/search.h"

#include <ATen/ops/mv.h>
#include <c10/core/GradMode.h>

#include "tandem/base/error.h"
#include "tandem/eval/ranking.h"

namespace tandem::eval {
namespace {

at::Tensor row_of(models::Model& model, const models::Processor& processor,
                  const SearchQuery& query) {
  const models::Abilities can = model.abilities();
  const bool by_text = query.picture.empty();
  if (by_text ? !can.embed_text : !can.embed_image) {
    throw Error(ErrorKind::config, std::string("[search] expected a model that embeds ") +
                                       (by_text ? "texts" : "pictures") + "; got one that cannot");
  }
  if (by_text) return can.embed_text(processor.text(query.text));
  data::Picture picture;
  picture.encoded.assign(query.picture.begin(), query.picture.end());
  return can.embed_image(processor.image(picture));
}

}  // namespace

std::vector<Found> search(const Gallery& gallery, models::Model& model,
                          const models::Processor& processor, const SearchQuery& query) {
  const c10::NoGradGuard no_grad;
  const at::Tensor& rows = query.in_texts ? gallery.text : gallery.image;
  if (!rows.defined() || rows.size(0) == 0) {
    throw Error(ErrorKind::config, std::string("[search] expected a gallery with ") +
                                       (query.in_texts ? "texts" : "pictures") +
                                       "; got one without");
  }
  const at::Tensor own = row_of(model, processor, query).to(at::kCPU, at::kFloat).slice(0, 0, 1);
  if (own.size(-1) != rows.size(-1)) {
    throw Error(ErrorKind::config, "[search] expected rows of " + std::to_string(own.size(-1)) +
                                       " numbers; got " + std::to_string(rows.size(-1)));
  }
  if (own.dim() == 3 && rows.dim() == 3) {
    throw Error(ErrorKind::config,
                "[search] expected a text, or a gallery's texts: this model has several rows a "
                "picture and does not compare two pictures");
  }
  const bool plain = own.dim() == 2 && rows.dim() == 2;
  const at::Tensor scores = plain ? rows.mv(own[0]) : similarities(own, rows)[0];
  std::vector<std::int64_t> first(gallery.entries.size() + 1, 0);  // of each entry's texts
  for (std::size_t i = 0; i < gallery.entries.size(); ++i) {
    first[i + 1] = first[i] + static_cast<std::int64_t>(gallery.entries[i].texts.size());
  }
  std::vector<Found> found;
  for (const Hit& hit : best(scores, query.top)) {
    const std::int64_t owner =
        query.in_texts ? gallery.owner[hit.row].item<std::int64_t>() : hit.row;
    const auto number = static_cast<std::size_t>(owner);
    const Entry& entry = gallery.entries[number];
    Found one{.place = static_cast<std::int64_t>(found.size()) + 1, .score = hit.score};
    one.id = entry.id;
    if (query.in_texts) {
      const std::int64_t text = hit.row - first[number];
      one.id += "#" + std::to_string(text);
      one.text = entry.texts[static_cast<std::size_t>(text)];
    } else if (!entry.texts.empty()) {
      one.text = entry.texts.front();
    }
    found.push_back(std::move(one));
  }
  return found;
}

}  // namespace tandem::eval
