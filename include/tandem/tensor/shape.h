#pragma once
// Shapes for messages.

#include <ATen/core/Tensor.h>

#include <string>

namespace tandem {

std::string shape_text(const at::Tensor& tensor);  // "[8, 512]"

}  // namespace tandem
