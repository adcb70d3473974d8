#pragma once
// The experiments that ship with the program: every config below a folder that is whole by itself
// (it names a run and has stages), as against the parts that such configs include.

#include <filesystem>
#include <string>
#include <vector>

namespace tandem::config {

struct Recipe {
  std::string name{};                 // its path below the folder, without .yaml
  std::vector<std::string> stages{};  // in their order
  std::string about{};                // the first sentence of the comment that opens the file
};

// In the order of their names. Throws Error(config) when a file cannot be read, with its mistakes.
std::vector<Recipe> recipes(const std::filesystem::path& folder);

// Copies a recipe and what it includes into `out`, each under its path below `folder`, so that
// includes go on to hold; returns the recipe's new path. Throws Error(config) with the nearest name
// for one that is not there, and when a file of that name exists in `out` and differs.
std::filesystem::path copy_recipe(const std::filesystem::path& folder, const std::string& name,
                                  const std::filesystem::path& out);

}  // namespace tandem::config
