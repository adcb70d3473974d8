#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "dist/impl.h"
#include "tandem/base/error.h"
#include "tandem/dist/mesh.h"

namespace tandem::dist {
namespace {

// Starts one collective and waits for it.
template <class Start>
void run(const Mesh& mesh, const at::Tensor& tensor, const Start& start) {
  const Mesh::Impl& impl = mesh.impl();
  TANDEM_CHECK(!impl.syncing, "[dist] no collective between GradSync's arm() and finish()");
  c10d::Backend& group = impl.group_of(tensor);
  enter(impl);
  c10::intrusive_ptr<c10d::Work> work;
  try {
    work = start(group);
  } catch (const std::exception&) {
    rethrow_as_loss(impl);
  }
  wait(impl, *work, tensor.is_cuda());
}

// Any dtype travels as bytes.
at::Tensor as_bytes(const at::Tensor& contiguous) { return contiguous.view(-1).view(at::kByte); }

at::Tensor detached(const at::Tensor& tensor) { return tensor.detach().contiguous(); }

void copy_back(const at::Tensor& tensor, const at::Tensor& result) {
  if (!tensor.is_same(result) && tensor.data_ptr() != result.data_ptr())
    tensor.detach().copy_(result);
}

}  // namespace

void Mesh::barrier() const {
  if (impl_->alone()) return;
  at::Tensor one = at::ones({1}, at::kInt);
  all_reduce_sum(*this, one);
}

void all_reduce_sum(const Mesh& mesh, at::Tensor& tensor) {
  if (mesh.impl().alone() || tensor.numel() == 0) return;
  at::Tensor sum = detached(tensor);
  run(mesh, sum, [&](c10d::Backend& group) {
    std::vector<at::Tensor> tensors{sum.view(-1)};
    return group.allreduce(tensors);
  });
  copy_back(tensor, sum);
}

at::Tensor all_gather(const Mesh& mesh, const at::Tensor& tensor) {
  if (mesh.impl().alone() || tensor.numel() == 0) {
    std::vector<std::int64_t> shape{mesh.size()};
    shape.insert(shape.end(), tensor.sizes().begin(), tensor.sizes().end());
    return tensor.detach().unsqueeze(0).expand(shape);
  }
  at::Tensor own = detached(tensor);
  std::vector<std::int64_t> shape{mesh.size()};
  shape.insert(shape.end(), own.sizes().begin(), own.sizes().end());
  at::Tensor all = at::empty(shape, own.options());
  at::Tensor in = as_bytes(own), out = as_bytes(all);
  run(mesh, own, [&](c10d::Backend& group) { return group._allgather_base(out, in); });
  return all;
}

std::vector<at::Tensor> all_gather_uneven(const Mesh& mesh, const at::Tensor& rows) {
  TANDEM_CHECK(rows.dim() >= 1, "[dist] expected rows [n, ...]; got a scalar");
  if (mesh.impl().alone()) return {rows.detach()};
  const at::Tensor counts = all_gather(mesh, at::full({1}, rows.size(0), at::kLong));  // [W, 1]
  const auto* count = counts.const_data_ptr<std::int64_t>();
  const std::int64_t most = counts.max().item<std::int64_t>();
  std::vector<std::int64_t> shape(rows.sizes().begin(), rows.sizes().end());
  shape[0] = most;
  at::Tensor padded = at::zeros(shape, rows.options().requires_grad(false));
  padded.narrow(0, 0, rows.size(0)).copy_(rows.detach());
  const at::Tensor all = all_gather(mesh, padded);  // [W, most, ...]
  std::vector<at::Tensor> result;
  for (int rank = 0; rank < mesh.size(); ++rank)
    result.push_back(all.select(0, rank).narrow(0, 0, count[rank]));
  return result;
}

void broadcast(const Mesh& mesh, at::Tensor& tensor, int from) {
  TANDEM_CHECK(from >= 0 && from < mesh.size(), "[dist] no rank " + std::to_string(from));
  if (mesh.impl().alone() || tensor.numel() == 0) return;
  at::Tensor value = detached(tensor);
  run(mesh, value, [&](c10d::Backend& group) {
    std::vector<at::Tensor> tensors{as_bytes(value)};
    c10d::BroadcastOptions options;
    options.rootRank = from;
    return group.broadcast(tensors, options);
  });
  copy_back(tensor, value);
}

std::vector<std::string> all_gather_text(const Mesh& mesh, const std::string& text) {
  if (mesh.impl().alone()) return {text};
  const at::Tensor own = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  if (!text.empty()) std::memcpy(own.mutable_data_ptr(), text.data(), text.size());
  std::vector<std::string> result;
  for (const at::Tensor& bytes : all_gather_uneven(mesh, own)) {
    const at::Tensor line = bytes.contiguous();
    result.emplace_back(static_cast<const char*>(line.const_data_ptr()),
                        static_cast<std::size_t>(line.numel()));
  }
  return result;
}

}  // namespace tandem::dist
