#include "config/describe.h"
#include "config/node.h"
#include "config/reader.h"
#include "config/writer.h"

namespace tandem::config {
namespace {

// The name of a run that states none: its file's, with `_` for what a folder must not have.
std::string name_from(const std::filesystem::path& path) {
  std::string name = path.stem().string().substr(0, 100);
  for (char& c : name) {
    if (!folder_name(std::string("a") + c)) c = '_';
  }
  if (name.empty()) name = "run";
  if (!folder_name(name)) name.front() = '_';
  return name;
}

}  // namespace

namespace {

Loaded checked(Node& root, Loaded loaded, const std::vector<std::string>& overrides,
               const Tables& tables, Problems& problems) {
  for (std::size_t i = 0; i < overrides.size(); ++i) {
    apply_override(root, overrides[i], static_cast<int>(i), problems);
  }
  spread_model(root);
  std::map<std::string, Place> origins;
  ReadContext context{problems, origins, tables.may_lack ? &loaded.absent : nullptr};
  Reader reader(&root, root.place, "", "", context);
  describe(reader, loaded.config, tables);
  reader.finish();
  problems.raise_if_any();
  loaded.resolved = write_config(loaded.config, tables, nullptr);
  loaded.origins = write_config(loaded.config, tables, &origins);
  return loaded;
}

}  // namespace

Loaded load(const std::filesystem::path& path, const std::vector<std::string>& overrides,
            const Tables& tables) {
  Problems problems;
  Node root;
  // After a file that is no YAML, every key that it may state would be called missing.
  if (!read_tree(path, problems, root)) problems.raise_if_any();
  Loaded loaded;
  loaded.config.name = name_from(path);
  return checked(root, std::move(loaded), overrides, tables, problems);
}

Loaded load_over(const Base& base, const std::filesystem::path& path,
                 const std::vector<std::string>& overrides, const Tables& tables) {
  auto document = std::make_shared<Document>();
  document->name = base.name;
  document->directory = base.directory;
  Problems problems;
  Node root, file;
  if (!parse(base.text, document, problems, root)) problems.raise_if_any();
  if (!path.empty()) {
    if (!read_tree(path, problems, file)) problems.raise_if_any();
    merge_top(root, std::move(file));
  }
  Loaded loaded;
  loaded.config.name = name_from(path.empty() ? std::filesystem::path("run") : path);
  return checked(root, std::move(loaded), overrides, tables, problems);
}

}  // namespace tandem::config
