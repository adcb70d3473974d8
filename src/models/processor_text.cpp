#include "tandem/models/processor_text.h"

#include <system_error>

#include "models/config_node.h"
#include "tandem/base/files.h"

namespace tandem::models {

std::string processor_text(const std::filesystem::path& folder) {
  constexpr std::int64_t longest = std::int64_t{16} << 20;
  std::error_code error;
  const std::filesystem::path both = folder / "processor_config.json";
  if (std::filesystem::is_regular_file(both, error)) {
    const nlohmann::json root = parse_config(read_file(both, longest), both.string());
    const auto inner = root.find("image_processor");
    if (inner != root.end() && inner->is_object()) return inner->dump();
  }
  const std::filesystem::path alone = folder / "preprocessor_config.json";
  return std::filesystem::is_regular_file(alone, error) ? read_file(alone, longest) : "";
}

void read_processor_text(const Family& family, Settings& settings,
                         const std::filesystem::path& folder) {
  const std::string text = processor_text(folder);
  if (family.read_processor_file && !text.empty()) family.read_processor_file(settings, text);
}

}  // namespace tandem::models
