#pragma once
// Steps of Family::import_weights that several families take: on names alone.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>

namespace tandem::models {

using Weights = std::map<std::string, at::Tensor>;

// Without the "module." that DistributedDataParallel and DeepSpeed put in front of every name.
Weights without_module_prefix(Weights weights);

void erase_ending_in(Weights& weights, const std::string& suffix);

// Moves the tensor to its first name, or drops it where that is there already.
void merge_into(Weights& weights, const std::string& name, const std::string& first);

// The same of a tensor that should be the first one by another name. One with other numbers stays
// where it is, so that whoever takes the weights tells of it.
void merge_tied(Weights& weights, const std::string& name, const std::string& first);

// Momentum copies, "PART_m.", start as what they follow where a file has none of that part.
void add_copies(Weights& weights, std::initializer_list<const char*> parts);

// A table [N, D] of more than `rows` rows keeps its first ones.
void cut_rows(Weights& weights, const std::string& name, std::int64_t rows);
// The same of every table whose name ends so.
void cut_rows_ending_in(Weights& weights, const std::string& suffix, std::int64_t rows);

// The same, and one of fewer rows goes on with copies of row `like`, where it has that.
void set_rows(Weights& weights, const std::string& name, std::int64_t rows, std::int64_t like);

// A table of positions [1, 1 + P, D] to a grid x grid of patches, where it is there.
void resize_grid(Weights& weights, const std::string& name, std::int64_t grid);

}  // namespace tandem::models
