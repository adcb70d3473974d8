#pragma once
// Low-rank adapters in files, in PEFT's layout: adapter_config.json and adapter_model.safetensors
// with "base_model.model.LAYER.lora_A.weight" [rank, in] and "...lora_B.weight" [out, rank].
// Source: huggingface/peft:src/peft/tuners/lora/config.py, utils/save_and_load.py. Not read: DoRA,
// biases, saved modules, adapters of embeddings or convolutions.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tandem/tensor/safetensors.h"

namespace tandem::checkpoint {

inline constexpr const char* adapter_config_file = "adapter_config.json";
inline constexpr const char* adapter_tensors_file = "adapter_model.safetensors";

struct AdapterLayer {
  std::string layer{};
  std::int64_t rank = 0;
  double scale = 1, dropout = 0;
};

// base: of base_model_name_or_path; empty: null. One dropout stands in the file: the largest.
std::string adapter_config_json(const std::vector<AdapterLayer>& layers, const std::string& base);

// "LAYER.lora_A.weight" to the file's name and back; other names stay as they are.
std::string to_peft_name(const std::string& name);
std::string from_peft_name(const std::string& name);

// Every weight "LAYER.weight" whose layer has an adapter among `tensors` (names of the file)
// becomes W + scale B A, in its own type; the others are handed through. Throws Error(data) for an
// adapter that is broken or of no layer, Error(config) for a kind that is not read.
std::map<std::string, at::Tensor> merge_adapter(std::map<std::string, at::Tensor> weights,
                                                const std::map<std::string, at::Tensor>& tensors,
                                                const std::string& config_json,
                                                const std::string& where);

// Is an adapter in this folder?
bool has_adapter(const std::filesystem::path& directory);

}  // namespace tandem::checkpoint
