#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "dist/impl.h"
#include "tandem/base/error.h"

namespace tandem::dist {

struct Slot {
  at::Tensor parameter;
  std::size_t bucket = 0;
  std::int64_t offset = 0;  // in the bucket's flat tensor
  bool fired = false;
};

struct Bucket {
  std::vector<std::size_t> slots;
  std::int64_t elements = 0;
  at::Tensor flat;  // [elements]; made at the first use, kept
  std::size_t waiting = 0;
  c10::intrusive_ptr<c10d::Work> work{};
  bool launched = false, late = false;
};

// The hooks hold a pointer to it; autograd runs them in one thread at a time.
struct GradSync::State {
  Mesh mesh;
  std::vector<Slot> slots{};
  std::vector<Bucket> buckets{};
  std::vector<torch::autograd::PostAccumulateGradHook*> hooks{};
  std::size_t next = 0;  // the bucket to launch next
  bool armed = false;

  void fill_buckets(std::int64_t bucket_bytes);
  void reset();
  void fired(std::size_t slot);
  void launch(Bucket& bucket);
  void sum_late_buckets_again();
  void copy_back(const Bucket& bucket);
};

namespace {

class Fired final : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit Fired(std::function<void()> call) : call_(std::move(call)) {}
  void operator()(const at::Tensor&) override { call_(); }

 private:
  std::function<void()> call_;
};

}  // namespace

// Reverse order: the last parameters get their gradients first.
void GradSync::State::fill_buckets(std::int64_t bucket_bytes) {
  std::int64_t bytes = 0;
  const at::Tensor* previous = nullptr;
  for (std::size_t i = slots.size(); i-- > 0;) {
    Slot& slot = slots[i];
    const at::Tensor& p = slot.parameter;
    const auto size = static_cast<std::int64_t>(p.nbytes());
    const bool fits = previous != nullptr && previous->scalar_type() == p.scalar_type() &&
                      previous->device() == p.device() && bytes + size <= bucket_bytes;
    if (!fits) {
      buckets.emplace_back();
      bytes = 0;
    }
    Bucket& bucket = buckets.back();
    slot.bucket = buckets.size() - 1;
    slot.offset = bucket.elements;
    bucket.slots.push_back(i);
    bucket.elements += p.numel();
    bytes += size;
    previous = &p;
  }
}

void GradSync::State::reset() {
  for (Slot& slot : slots) slot.fired = false;
  for (Bucket& bucket : buckets) {
    bucket.waiting = bucket.slots.size();
    bucket.work.reset();
    bucket.launched = bucket.late = false;
  }
  next = 0;
}

void GradSync::State::fired(std::size_t index) {
  if (!armed) return;
  Slot& slot = slots[index];
  Bucket& bucket = buckets[slot.bucket];
  if (slot.fired) {
    if (bucket.launched) bucket.late = true;
    return;
  }
  slot.fired = true;
  --bucket.waiting;
  while (next < buckets.size() && buckets[next].waiting == 0) launch(buckets[next++]);
}

// .grad stays what it is, this rank's own sum, until finish(): a late addition then goes on top of
// it and not on top of a half-summed value.
void GradSync::State::launch(Bucket& bucket) {
  const at::NoGradGuard no_grad;
  const Mesh::Impl& impl = mesh.impl();
  const at::Tensor& first = slots[bucket.slots.front()].parameter;
  if (!bucket.flat.defined())
    bucket.flat = at::empty({bucket.elements}, first.options().requires_grad(false));
  for (const std::size_t i : bucket.slots) {
    const Slot& slot = slots[i];
    const at::Tensor part =
        bucket.flat.narrow(0, slot.offset, slot.parameter.numel()).view(slot.parameter.sizes());
    const at::Tensor& grad = slot.parameter.grad();
    grad.defined() ? part.copy_(grad) : part.zero_();
  }
  enter(impl);
  try {
    std::vector<at::Tensor> tensors{bucket.flat};
    bucket.work = impl.group_of(bucket.flat).allreduce(tensors);
  } catch (const std::exception&) {
    rethrow_as_loss(impl);
  }
  bucket.launched = true;
}

// One small sum of host values tells all ranks which buckets left too early on any of them.
void GradSync::State::sum_late_buckets_again() {
  at::Tensor late = at::zeros({static_cast<std::int64_t>(buckets.size())}, at::kInt);
  auto* flag = late.mutable_data_ptr<int>();
  for (std::size_t b = 0; b < buckets.size(); ++b) flag[b] = buckets[b].late ? 1 : 0;
  all_reduce_sum(mesh, late);
  for (std::size_t b = 0; b < buckets.size(); ++b)
    if (flag[b] != 0) launch(buckets[b]);
  for (std::size_t b = 0; b < buckets.size(); ++b)
    if (flag[b] != 0) wait(mesh.impl(), *buckets[b].work, buckets[b].flat.is_cuda());
}

void GradSync::State::copy_back(const Bucket& bucket) {
  for (const std::size_t i : bucket.slots) {
    const at::Tensor& p = slots[i].parameter;
    const at::Tensor sum = bucket.flat.narrow(0, slots[i].offset, p.numel()).view(p.sizes());
    if (p.grad().defined())
      p.grad().copy_(sum);
    else
      p.mutable_grad() = sum.clone();
  }
}

GradSync::GradSync(Mesh mesh, std::vector<at::Tensor> parameters, std::int64_t bucket_bytes)
    : state_(std::make_unique<State>(State{std::move(mesh)})) {
  State& state = *state_;
  std::unordered_set<const void*> seen;
  for (at::Tensor& p : parameters) {
    TANDEM_CHECK(p.is_leaf() && p.requires_grad(), "[dist] expected trained parameters");
    if (seen.insert(p.unsafeGetTensorImpl()).second) state.slots.push_back({std::move(p)});
  }
  state.fill_buckets(bucket_bytes);
  if (state.mesh.impl().alone()) return;
  for (std::size_t i = 0; i < state.slots.size(); ++i) {
    auto hook = std::make_unique<Fired>([s = &state, i] { s->fired(i); });
    state.hooks.push_back(hook.get());
    torch::autograd::impl::set_post_acc_grad_hooks(state.slots[i].parameter, std::move(hook));
  }
}

GradSync::~GradSync() {
  if (state_->armed) state_->mesh.impl().syncing = false;
  for (std::size_t i = 0; i < state_->hooks.size(); ++i) {
    const at::Tensor& parameter = state_->slots[i].parameter;
    // A later GradSync over the same parameter has put its own hook there.
    if (torch::autograd::impl::post_acc_grad_hooks(parameter).get() == state_->hooks[i])
      torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }
}

void GradSync::arm() {
  TANDEM_CHECK(!state_->armed, "[dist] GradSync::arm() without finish()");
  state_->reset();
  state_->armed = true;
  state_->mesh.impl().syncing = true;
}

void GradSync::finish() {
  const at::NoGradGuard no_grad;
  State& state = *state_;
  const Mesh::Impl& impl = state.mesh.impl();
  if (!state.armed) state.reset();
  state.armed = false;
  impl.syncing = false;
  if (impl.alone()) {
    for (const Slot& slot : state.slots)
      if (!slot.parameter.grad().defined())
        slot.parameter.mutable_grad() = at::zeros_like(slot.parameter);
    return;
  }
  while (state.next < state.buckets.size()) state.launch(state.buckets[state.next++]);
  for (Bucket& bucket : state.buckets) wait(impl, *bucket.work, bucket.flat.is_cuda());
  state.sum_late_buckets_again();
  for (const Bucket& bucket : state.buckets) state.copy_back(bucket);
}

int GradSync::launched() const { return static_cast<int>(state_->next); }

}  // namespace tandem::dist
