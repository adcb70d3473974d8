// A webdataset through the whole loader:  bench_loader TAR SIZE BATCH SECONDS THREADS
// Reads, decodes, crops at random, flips and collates, as training does. Prints one line of JSON:
// pictures, seconds, CPU seconds of the process.

#include "tandem/data/loader.h"

#include <ATen/ops/empty.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "tandem/data/webdataset.h"
#include "tandem/vision/transform.h"

namespace {

using namespace tandem;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

data::Prepare prepare_for(std::int64_t size) {
  vision::ImageSettings settings;
  settings.size = size;
  vision::AugmentSettings augment;
  augment.min_scale = 0.5;
  augment.flip = 0.5;
  return [=](const data::Sample& sample, Key key, bool) {
    const vision::Image view =
        vision::training_view(sample.pictures.at(0).encoded, sample.id, settings, augment, key);
    Batch batch;
    batch.images = Images{at::empty({1, 3, size, size}, at::kByte)};
    vision::write_chw(
        view, std::span(batch.images->pixels.mutable_data_ptr<std::uint8_t>(), view.rgb.size()));
    return batch;
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  data::WebdatasetSettings settings;
  settings.path = argv[1];
  const std::shared_ptr<const data::Source> source = data::open_webdataset(settings);
  data::LoaderOptions options;
  options.global_batch = options.micro_batch = std::atoll(argv[3]);
  options.threads = std::atoi(argv[5]);
  data::Loader loader({source}, data::Order(Key(1), {{source->size(), 1}}),
                      prepare_for(std::atoll(argv[2])), options);
  loader.next();  // the threads are there
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const double cpu = cpu_seconds();
  std::int64_t pictures = 0;
  double took = 0;
  while (took < std::atof(argv[4])) {
    for (const Batch& batch : loader.next().micro_batches) pictures += batch.size();
    took = std::chrono::duration<double>(Clock::now() - start).count();
  }
  std::printf("{\"pictures\": %lld, \"seconds\": %.3f, \"cpu_seconds\": %.3f}\n",
              static_cast<long long>(pictures), took, cpu_seconds() - cpu);
  return 0;
}
