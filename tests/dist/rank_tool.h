#pragma once
// The parts of rank_tool.

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "tandem/dist/mesh.h"

namespace tandem::dist::tool {

void say(const std::string& text);
void expect(bool holds, const std::string& what);  // else Error(internal)
std::string bits(const at::Tensor& tensor);        // a hash of its bytes

int collectives(const std::vector<std::string>& args);
int sync(const std::vector<std::string>& args);

}  // namespace tandem::dist::tool
