#pragma once
// A config as YAML: every value, defaults included, in the order of the fields.

#include <map>
#include <string>
#include <string_view>

#include "config/node.h"
#include "tandem/config/run_config.h"

namespace tandem::config {

// With `origins` (dotted key -> where it was stated), each value is followed by `# file:line`,
// `# override` or `# default`.
std::string write_config(const RunConfig& config, const Tables& tables,
                         const std::map<std::string, Place>* origins);

// Text as a YAML scalar that reads back as this text: quoted where it must be.
std::string yaml_text(std::string_view text);

}  // namespace tandem::config
