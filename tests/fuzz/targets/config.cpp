// The YAML of an experiment, without includes: what is accepted resolves to YAML that reads the
// same.

#include "../../config/support.h"
#include "../support.h"
#include "tandem/config/run_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem;
  // An include would read files of this machine.
  if (fuzz::text_of(data, size).find("include") != std::string_view::npos) return -1;
  const fuzz::MemoryFile file(data, size);
  static const config::Tables tables = config::tables();
  fuzz::accepted([&] {
    const config::Loaded loaded = config::load(file.path(), {}, tables);
    const fuzz::MemoryFile copy(reinterpret_cast<const std::uint8_t*>(loaded.resolved.data()),
                                loaded.resolved.size());
    const config::Loaded again =
        fuzz::read_back([&] { return config::load(copy.path(), {}, tables); });
    fuzz::require(again.resolved == loaded.resolved, "resolved.yaml resolves to itself");
    fuzz::require(config::resume_differences(loaded.resolved, again.resolved).empty(),
                  "a run may be resumed with its own config");
  });
  return 0;
}
