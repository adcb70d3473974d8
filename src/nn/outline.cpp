#include "tandem/nn/outline.h"

namespace tandem::nn {
namespace {

int& depth() {
  thread_local int value = 0;
  return value;
}

}  // namespace

Outline::Outline() { ++depth(); }
Outline::~Outline() { --depth(); }
bool Outline::drawn() { return depth() > 0; }

}  // namespace tandem::nn
