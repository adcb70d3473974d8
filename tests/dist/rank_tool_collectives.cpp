#include "rank_tool.h"

namespace tandem::dist::tool {
namespace {

// What rank r brings: the same on every rank that asks.
at::Tensor share_of(int rank, std::int64_t elements, at::ScalarType type) {
  const at::Tensor t = at::arange(elements, at::kDouble).add(1 + 17 * rank).sin();
  return t.mul(rank + 1).to(type);
}

void sums(const Mesh& mesh) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const std::int64_t elements : {0, 1, 3, 1000, (1 << 18) + 3}) {
      at::Tensor sum = share_of(mesh.rank(), elements, type);
      at::Tensor wanted = at::zeros({elements}, at::kDouble);
      for (int r = 0; r < mesh.size(); ++r) wanted += share_of(r, elements, type).to(at::kDouble);
      all_reduce_sum(mesh, sum);
      const double tolerance = type == at::kBFloat16 ? 0.1 : 1e-5;
      expect(at::allclose(sum.to(at::kDouble), wanted, tolerance, tolerance), "a sum");
      say("bits " + bits(sum));
    }
  at::Tensor counts = at::full({}, 1 + mesh.rank(), at::kLong);
  all_reduce_sum(mesh, counts);
  expect(counts.item<std::int64_t>() == mesh.size() * (mesh.size() + 1) / 2, "a sum of integers");
  at::Tensor turned = at::ones({4, 3}).t();  // not contiguous
  all_reduce_sum(mesh, turned);
  expect(turned.eq(mesh.size()).all().item<bool>() && turned.size(0) == 3, "a sum of a view");
}

void gathers(const Mesh& mesh) {
  const at::Tensor all = all_gather(mesh, at::full({2, 3}, mesh.rank(), at::kLong));
  expect(all.sizes() == at::IntArrayRef({mesh.size(), 2, 3}), "a gather's shape");
  for (int r = 0; r < mesh.size(); ++r) expect(all[r].eq(r).all().item<bool>(), "a gather");
  const at::Tensor flags = all_gather(mesh, at::full({}, mesh.rank() % 2 == 1, at::kBool));
  for (int r = 0; r < mesh.size(); ++r) expect(flags[r].item<bool>() == (r % 2 == 1), "a flag");

  // Rank 0 has no row, rank r has r.
  for (const std::int64_t factor : {0, 1, 1000}) {
    const at::Tensor rows = at::full({factor * mesh.rank(), 5}, mesh.rank() + 0.5, at::kFloat);
    const std::vector<at::Tensor> parts = all_gather_uneven(mesh, rows);
    expect(parts.size() == static_cast<std::size_t>(mesh.size()), "the number of parts");
    for (int r = 0; r < mesh.size(); ++r) {
      const at::Tensor& part = parts[static_cast<std::size_t>(r)];
      expect(part.sizes() == at::IntArrayRef({factor * r, 5}), "a part's shape");
      expect(part.eq(r + 0.5).all().item<bool>(), "a part");
    }
  }
}

}  // namespace

int collectives(const std::vector<std::string>&) {
  const Mesh mesh = join(join_options_from_environment(Backend::gloo));
  sums(mesh);
  gathers(mesh);
  for (int from = 0; from < mesh.size(); ++from) {
    at::Tensor value = at::full({3, 2}, 10 + mesh.rank(), at::kHalf).t();
    broadcast(mesh, value, from);
    expect(value.eq(10 + from).all().item<bool>(), "a broadcast");
  }
  const std::vector<std::string> texts =
      all_gather_text(mesh, std::string(static_cast<std::size_t>(mesh.rank()), 'x') + '\n');
  for (std::size_t r = 0; r < texts.size(); ++r)
    expect(texts[r] == std::string(r, 'x') + '\n', "a text");
  expect(all_gather_text(mesh, "").at(1).empty(), "an empty text");
  mesh.barrier();
  say("done");
  return 0;
}

}  // namespace tandem::dist::tool
