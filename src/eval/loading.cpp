#include "eval/loading.h"

namespace tandem::eval {

data::LoaderOptions loader_options(const Input& input, std::int64_t size) {
  data::LoaderOptions options;
  options.world_size = input.mesh->size();
  options.rank = input.mesh->rank();
  options.micro_batch = input.batch;
  options.global_batch = input.batch * options.world_size;
  options.threads = input.threads;
  options.end_position = size;
  options.pad_id = input.processor->pad_id;
  options.train = false;
  return options;
}

}  // namespace tandem::eval
