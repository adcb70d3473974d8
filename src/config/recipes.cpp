#include "tandem/config/recipes.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "config/node.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/config/run_config.h"

namespace tandem::config {
namespace {

namespace fs = std::filesystem;

// Up to the first full stop of the comment lines at the top, on one line.
std::string first_sentence(const std::string& text) {
  std::istringstream lines(text);
  std::string about;
  for (std::string line; std::getline(lines, line) && !line.empty() && line[0] == '#';) {
    const std::size_t start = line.find_first_not_of("# ");
    if (start == std::string::npos) break;
    about += (about.empty() ? "" : " ") + line.substr(start);
  }
  // A full stop inside a name ("2.5") or in brackets ("et al.") ends nothing.
  int open = 0;
  for (std::size_t i = 0; i + 1 < about.size(); ++i) {
    if (about[i] == '(') ++open;
    if (about[i] == ')') --open;
    if (open == 0 && about[i] == '.' && about[i + 1] == ' ') return about.substr(0, i + 1);
  }
  return about;
}

std::vector<std::string> stage_names(const Node& root) {
  std::vector<std::string> names;
  const Node* stages = root.find("stages");
  if (stages == nullptr || stages->kind != Node::Kind::list) return names;
  for (const Node& stage : stages->items) {
    const Node* name = stage.find("name");
    if (name != nullptr) names.push_back(name->text);
  }
  return names;
}

std::optional<Recipe> recipe_of(const fs::path& folder, const fs::path& path) {
  Problems problems;
  Node root;
  read_tree(path, problems, root);
  problems.raise_if_any();
  Recipe recipe;
  recipe.stages = stage_names(root);
  if (recipe.stages.empty() || root.find("name") == nullptr) return {};
  recipe.name = path.lexically_relative(folder).replace_extension().generic_string();
  recipe.about = first_sentence(read_file(path, kMaxBytes));
  return recipe;
}

// False: it stands there already, equal.
bool must_write(const fs::path& target, const std::string& text) {
  if (!fs::exists(target)) return true;
  if (read_file(target, kMaxBytes) == text) return false;
  throw Error(ErrorKind::config,
              "[recipes] expected no other file there; got one that differs from the recipe's",
              target.string(), "choose another folder");
}

}  // namespace

std::vector<Recipe> recipes(const fs::path& folder) {
  std::vector<Recipe> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".yaml") continue;
    std::optional<Recipe> recipe = recipe_of(folder, entry.path());
    if (recipe) found.push_back(std::move(*recipe));
  }
  std::sort(found.begin(), found.end(),
            [](const Recipe& a, const Recipe& b) { return a.name < b.name; });
  return found;
}

fs::path copy_recipe(const fs::path& folder, const std::string& name, const fs::path& out) {
  std::vector<std::string> known;
  for (const Recipe& recipe : recipes(folder)) known.push_back(recipe.name);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    const std::string near = nearest(name, known);
    throw Error(ErrorKind::config, "[recipes] no recipe is named '" + name + "'", "",
                near.empty() ? "tandem recipes lists them" : "did you mean " + near + "?");
  }
  Problems problems;
  Node root;
  std::vector<fs::path> files;
  read_tree(folder / (name + ".yaml"), problems, root, &files);
  problems.raise_if_any();
  std::vector<std::pair<fs::path, std::string>> copies;
  for (const fs::path& file : files) {
    const fs::path target = out / file.lexically_normal().lexically_relative(folder);
    std::string text = read_file(file, kMaxBytes);
    if (must_write(target, text)) copies.emplace_back(target, std::move(text));
  }
  for (const auto& [target, text] : copies) {
    fs::create_directories(target.parent_path());
    replace_file(target, text);
  }
  return out / (name + ".yaml");
}

}  // namespace tandem::config
