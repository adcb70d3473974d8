#include "tensor/cuda_seam.h"

extern "C" int tandem_cuda_version();
int tandem_cuda_version() { return tandem::kCudaSeamVersion; }
