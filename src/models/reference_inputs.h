#pragma once
// The recorded inputs of `tandem verify`, asked for by name. Every mistake is Error(config).

#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <string>

namespace tandem::models {

class ReferenceInputs {
 public:
  // Refuses an input that is not in `known`.
  ReferenceInputs(const std::map<std::string, at::Tensor>& inputs,
                  const std::set<std::string>& known);

  bool has(const std::string& name) const { return inputs_.contains(name); }
  const at::Tensor& required(const std::string& name) const;
  at::Tensor optional(const std::string& name) const;  // undefined where it is missing
  // int64 [B, T] with every id below `vocab_size` (ignored: -100 is let through).
  at::Tensor ids(const std::string& name, std::int64_t vocab_size, bool ignored = false) const;
  // Of the shape of `ids`; undefined where it is missing.
  at::Tensor mask(const std::string& name, const at::Tensor& ids) const;
  // One number as yes or no; `fallback` where it is missing.
  bool flag(const std::string& name, bool fallback) const;
  // Rows of a batch of `size`, int64 [size].
  at::Tensor rows(const std::string& name, std::int64_t size) const;
  // fp32 [B, 3, H, W].
  at::Tensor pixels(const std::string& name = "pixel_values") const;

 private:
  const std::map<std::string, at::Tensor>& inputs_;
};

[[noreturn]] void refuse_reference(const std::string& what);

}  // namespace tandem::models
