// Includes: which files make up a config, and what lies on top of what.

#include <algorithm>
#include <fstream>
#include <map>

#include "config/node.h"

namespace tandem::config {
namespace {

namespace fs = std::filesystem;

void merge(Node& base, Node over) {
  if (base.kind != Node::Kind::map || over.kind != Node::Kind::map) {
    const bool stated = base.kind != Node::Kind::null;
    base = std::move(over);
    if (base.kind == Node::Kind::null) base.removes = stated;
    return;
  }
  base.place = over.place;
  for (Entry& entry : over.entries) {
    const auto found = std::find_if(base.entries.begin(), base.entries.end(),
                                    [&](const Entry& e) { return e.key == entry.key; });
    if (found == base.entries.end()) {
      base.entries.push_back(std::move(entry));
    } else {
      found->place = entry.place;
      merge(found->value, std::move(entry.value));
    }
  }
}

std::string stage_name(const Node& stage) {
  const Node* name = stage.find("name");
  return name && name->kind == Node::Kind::scalar ? name->text : std::string();
}

// A name that stands twice in `over` stays twice, for the check to find.
void merge_stages(Node& base, Node over) {
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < base.items.size(); ++i) known.emplace(stage_name(base.items[i]), i);
  known.erase(std::string());
  for (Node& stage : over.items) {
    const auto found = known.find(stage_name(stage));
    if (found == known.end()) {
      base.items.push_back(std::move(stage));
    } else {
      merge(base.items[found->second], std::move(stage));
      known.erase(found);
    }
  }
  base.place = over.place;
}

class Files {
 public:
  explicit Files(Problems& problems) : problems_(problems) {}

  bool read(const fs::path& path, const Place& stated, Node& out) {
    std::error_code ignored;
    fs::path real = fs::weakly_canonical(path, ignored);
    if (real.empty()) real = path;
    if (std::find(open_.begin(), open_.end(), real) != open_.end()) {
      problems_.add(stated, "include: " + quote(path.string()) + " includes itself");
      return false;
    }
    if (++count_ > kMaxFiles || static_cast<int>(open_.size()) >= kMaxDepth) {
      if (!full_)
        problems_.add(stated, "include: more than " + std::to_string(kMaxFiles) + " files");
      full_ = true;
      return false;
    }
    open_.push_back(real);
    const bool good = read_open(path, stated, out);
    open_.pop_back();
    return good;
  }

  const std::vector<fs::path>& files() const { return files_; }

 private:
  bool read_open(const fs::path& path, const Place& stated, Node& out) {
    auto document = std::make_shared<Document>();
    document->name = path.string();
    document->directory = path.parent_path();
    document->order = count_;
    std::string text;
    if (!slurp(path, document, stated, text)) return false;
    files_.push_back(path);
    Node own;
    if (!parse(text, document, problems_, own)) return false;
    if (own.kind == Node::Kind::null) {
      problems_.add(own.place, "the file is empty");
      return false;
    }
    if (own.kind != Node::Kind::map) {
      problems_.add(own.place, "expected a map; got " + std::string(name_of(own.kind)));
      return false;
    }
    bool good = true;
    out = Node();
    out.kind = Node::Kind::map;
    for (const auto& [name, place] : take_includes(own, good)) {
      Node part;
      if (!read(path.parent_path() / name, place, part)) {
        good = false;
      } else {
        merge_top(out, std::move(part));
      }
    }
    merge_top(out, std::move(own));
    return good;
  }

  bool slurp(const fs::path& path, const std::shared_ptr<const Document>& document,
             const Place& stated, std::string& text) {
    const Place place = stated.document ? stated : Place{document, 1, 1};
    const std::string prefix = stated.document ? "include: " + quote(path.string()) + ": " : "";
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    if (!fs::is_regular_file(status)) {
      problems_.add(place, prefix + (fs::is_directory(status) ? "expected a file; got a folder"
                                     : fs::exists(status)     ? "expected a regular file"
                                                              : "no such file"));
      return false;
    }
    std::ifstream stream(path, std::ios::binary);
    text.resize(kMaxBytes + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad() || !(stream || stream.eof())) {
      problems_.add(place, prefix + "cannot be read");
      return false;
    }
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return true;
  }

  // The names under `include`, which is taken out of the map.
  std::vector<std::pair<std::string, Place>> take_includes(Node& own, bool& good) {
    std::vector<std::pair<std::string, Place>> names;
    const auto found = std::find_if(own.entries.begin(), own.entries.end(),
                                    [](const Entry& e) { return e.key == "include"; });
    if (found == own.entries.end()) return names;
    const Node include = std::move(found->value);
    own.entries.erase(found);
    const auto take = [&](const Node& item) {
      if (item.kind == Node::Kind::scalar && !item.text.empty()) {
        names.emplace_back(item.text, item.place);
        return;
      }
      problems_.add(item.place,
                    "include: expected the name of a file; got " + std::string(name_of(item.kind)));
      good = false;
    };
    if (include.kind == Node::Kind::list) {
      for (const Node& item : include.items) take(item);
    } else {
      take(include);
    }
    return names;
  }

  Problems& problems_;
  std::vector<fs::path> open_, files_;
  int count_ = 0;
  bool full_ = false;
};

}  // namespace

void merge_top(Node& base, Node over) {
  Node* below = base.find("stages");
  Node* above = over.find("stages");
  if (below && above && below->kind == Node::Kind::list && above->kind == Node::Kind::list) {
    Node merged = std::move(*below);
    merge_stages(merged, std::move(*above));
    *above = std::move(merged);
  }
  merge(base, std::move(over));
}

void spread_model(Node& root) {
  const Node* model = root.find("model");
  Node* stages = root.find("stages");
  if (!model || model->kind != Node::Kind::map) return;
  if (!stages || stages->kind != Node::Kind::list) return;
  Node common = *model;
  std::erase_if(common.entries, [](const Entry& entry) {
    return entry.key == "family" || entry.key == "pretrained" || entry.key == "tokenizer" ||
           entry.key == "vocabulary";
  });
  for (Node& stage : stages->items) {
    Node* own = stage.find("model");
    if (!own || own->kind != Node::Kind::map) continue;
    Node whole = common;
    merge(whole, std::move(*own));
    *own = std::move(whole);
  }
}

bool read_tree(const fs::path& path, Problems& problems, Node& out,
               std::vector<fs::path>* read_files) {
  Files files(problems);
  const bool good = files.read(path, {}, out);
  if (read_files != nullptr) *read_files = files.files();
  return good;
}

}  // namespace tandem::config
