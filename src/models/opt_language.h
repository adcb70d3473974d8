#pragma once
// OPT as the language model of a LanguageConfig: its settings, and config.json (OPTConfig, defaults
// of transformers 5.17). It runs without dropout here, as the other decoders do.

#include <nlohmann/json.hpp>
#include <string>

#include "models/config_node.h"
#include "models/language_config.h"
#include "models/settings.h"
#include "tandem/base/fields.h"
#include "tandem/nn/opt.h"

namespace tandem::models {

void opt_fields(FieldVisitor& visitor, OptConfig& config);
// What only rotary decoders have must stand at its default.
void check_opt_language(Problems& found, const std::string& block, const LanguageConfig& config);

void read_opt_language(const ConfigNode& node, LanguageConfig& config);
// Without kind, ids and size of the vocabulary, which all have (language_json).
nlohmann::json opt_language_json(const LanguageConfig& config);

nn::OptShape opt_shape(const LanguageConfig& config);

}  // namespace tandem::models
