#include "replay.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

namespace tandem::testing {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t most_subsets = 6;  // this many open changes are tried in all 2^n ways

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Change {
  std::size_t number = 0;  // in the order of the trace
  int directory = 0;
  std::string from{}, to{};  // link: from empty; unlink: to empty; else a rename
  int node = -1;             // of a link
};

struct Node {
  bool is_directory = false;
  std::string durable{}, current{};             // a file's data
  std::map<std::string, int> entries{}, now{};  // a directory's: durable, and as programs see it
};

using Tree = std::map<std::string, std::pair<bool, std::string>>;  // path -> directory?, data
enum class Data { kept, lost, zeros, half };

class Disk {
 public:
  Disk(fs::path root, const fs::path& before) : root_(std::move(root)) {
    nodes_.push_back({.is_directory = true});
    add_durable(0, before);
  }

  void apply(const IoCall& call);

  std::size_t open_changes() const { return changes_.size(); }
  bool open_data() const {
    return std::any_of(nodes_.begin(), nodes_.end(),
                       [](const Node& node) { return node.durable != node.current; });
  }
  // The tree when just these open changes happened and open data fared so.
  Tree tree(const std::vector<bool>& happened, Data data) const;

 private:
  void add_durable(int at, const fs::path& from);
  int find(const fs::path& path) const;
  int parent_of(const std::string& path) const { return find(fs::path(path).parent_path()); }
  void change(Change change);
  void collect(int node, const std::string& path, const std::vector<std::map<std::string, int>>& of,
               Data data, Tree& tree) const;

  fs::path root_;
  std::vector<Node> nodes_{};
  std::vector<Change> changes_{};
  std::size_t number_ = 0;
};

void Disk::add_durable(int at, const fs::path& from) {
  if (!fs::exists(from)) return;
  for (const auto& entry : fs::directory_iterator(from)) {
    const int node = static_cast<int>(nodes_.size());
    nodes_.push_back({.is_directory = entry.is_directory()});
    const std::string name = entry.path().filename().string();
    nodes_[at].entries[name] = nodes_[at].now[name] = node;
    if (entry.is_directory()) {
      add_durable(node, entry.path());
    } else {
      nodes_[node].durable = nodes_[node].current = read_all(entry.path());
    }
  }
}

int Disk::find(const fs::path& path) const {
  const fs::path relative = path.lexically_relative(root_);
  if (relative.empty() || *relative.begin() == "..") {
    throw std::runtime_error("outside of the root: " + path.string());
  }
  int at = 0;
  for (const fs::path& part : relative) {
    if (part == ".") continue;
    const auto found = nodes_[at].now.find(part.string());
    if (found == nodes_[at].now.end()) return -1;
    at = found->second;
  }
  return at;
}

// What one change makes of a directory; without its source it comes to nothing.
void happen(const Change& change, std::map<std::string, int>& entries) {
  int node = change.node;
  if (!change.from.empty()) {
    const auto found = entries.find(change.from);
    if (found == entries.end()) return;
    node = found->second;
    entries.erase(found);
  }
  if (!change.to.empty()) entries[change.to] = node;
}

void Disk::change(Change change) {
  if (change.directory < 0) throw std::runtime_error("a change in no directory");
  change.number = number_++;
  happen(change, nodes_[change.directory].now);
  changes_.push_back(std::move(change));
}

void Disk::apply(const IoCall& call) {
  const std::string name = fs::path(call.path).filename().string();
  if (call.is_mark() || call.op == "close") return;
  if (call.op == "create" || call.op == "mkdir") {
    const int old = find(call.path);
    if (old >= 0) {
      nodes_[old].current.clear();
      return;
    }
    const int node = static_cast<int>(nodes_.size());
    nodes_.push_back({.is_directory = call.op == "mkdir"});
    return change({.directory = parent_of(call.path), .to = name, .node = node});
  }
  const int node = find(call.path);
  if (node < 0) throw std::runtime_error(call.op + " of what is not there: " + call.path);
  if (call.op == "write") {
    std::string& data = nodes_[node].current;
    const auto offset = static_cast<std::size_t>(call.offset);
    if (data.size() < offset + call.data.size()) data.resize(offset + call.data.size());
    data.replace(offset, call.data.size(), call.data);
  } else if (call.op == "fsync") {
    nodes_[node].durable = nodes_[node].current;
  } else if (call.op == "fsyncdir") {
    nodes_[node].entries = nodes_[node].now;
    changes_.erase(std::remove_if(changes_.begin(), changes_.end(),
                                  [&](const Change& c) { return c.directory == node; }),
                   changes_.end());
  } else if (call.op == "rename") {
    const int directory = parent_of(call.path);
    if (directory != parent_of(call.to)) throw std::runtime_error("a rename across directories");
    change({.directory = directory, .from = name, .to = fs::path(call.to).filename().string()});
  } else if (call.op == "unlink" || call.op == "rmdir") {
    change({.directory = parent_of(call.path), .from = name});
  } else {
    throw std::runtime_error("unknown call " + call.op);
  }
}

Tree Disk::tree(const std::vector<bool>& happened, Data data) const {
  std::vector<std::map<std::string, int>> entries;
  for (const Node& node : nodes_) entries.push_back(node.entries);
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    if (happened[i]) happen(changes_[i], entries[changes_[i].directory]);
  }
  Tree tree;
  collect(0, "", entries, data, tree);
  return tree;
}

void Disk::collect(int node, const std::string& path,
                   const std::vector<std::map<std::string, int>>& of, Data data, Tree& tree) const {
  for (const auto& [name, child] : of[node]) {
    const std::string inside = path.empty() ? name : path + "/" + name;
    const Node& it = nodes_[child];
    if (it.is_directory) {
      tree[inside] = {true, {}};
      collect(child, inside, of, data, tree);
    } else if (it.durable == it.current || data == Data::kept) {
      tree[inside] = {false, it.current};
    } else if (data == Data::lost) {
      tree[inside] = {false, it.durable};
    } else if (data == Data::zeros) {
      tree[inside] = {false, std::string(it.current.size(), '\0')};
    } else {
      tree[inside] = {false, it.current.substr(0, (it.current.size() + 1) / 2)};
    }
  }
}

// Which open changes happened: all ways where they are few; else each prefix, each one alone, each
// one missing.
std::vector<std::vector<bool>> choices(std::size_t count) {
  std::set<std::vector<bool>> found;
  if (count <= most_subsets) {
    for (std::size_t bits = 0; bits < (std::size_t{1} << count); ++bits) {
      std::vector<bool> choice(count);
      for (std::size_t i = 0; i < count; ++i) choice[i] = (bits >> i & 1) != 0;
      found.insert(choice);
    }
  } else {
    for (std::size_t i = 0; i <= count; ++i) {
      std::vector<bool> prefix(count), suffix(count), alone(count), missing(count, true);
      for (std::size_t j = 0; j < count; ++j) {
        prefix[j] = j < i;
        suffix[j] = j >= i;
      }
      if (i < count) {
        alone[i] = true;
        missing[i] = false;
      }
      found.insert({prefix, suffix, alone, missing});
    }
  }
  return {found.begin(), found.end()};
}

std::string text_of(const Tree& tree) {
  std::string text;
  for (const auto& [path, content] : tree) {
    text += path + (content.first ? "/" : "=") + std::to_string(content.second.size()) + ":" +
            content.second + "\n";
  }
  return text;
}

void make(const Tree& tree, const fs::path& into) {
  fs::create_directories(into);
  for (const auto& [path, content] : tree) {  // a directory stands before what is in it
    if (content.first) {
      fs::create_directory(into / path);
    } else {
      std::ofstream(into / path, std::ios::binary) << content.second;
    }
  }
}

}  // namespace

std::vector<IoCall> read_trace(const fs::path& path) {
  const std::string text = read_all(path);
  std::vector<IoCall> calls;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string::npos) throw std::runtime_error("the trace ends inside a record");
    std::vector<std::string> fields{""};
    for (std::size_t i = at; i < end; ++i) {
      if (text[i] == '\t') {
        fields.emplace_back();
      } else {
        fields.back() += text[i];
      }
    }
    at = end + 1;
    if (fields.size() < 2) throw std::runtime_error("a record without a path: " + fields[0]);
    IoCall call{.op = fields[0], .path = unescaped(fields[1])};
    if (call.op == "rename") call.to = unescaped(fields.at(2));
    if (call.op == "write") {
      call.offset = std::stoll(fields.at(2));
      const auto size = static_cast<std::size_t>(std::stoll(fields.at(3)));
      if (at + size >= text.size()) throw std::runtime_error("the trace ends inside a write");
      call.data = text.substr(at, size);
      at += size + 1;
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

void for_each_power_cut(const fs::path& root, const fs::path& before,
                        const std::vector<IoCall>& calls,
                        const std::function<bool(const PowerCut&)>& visit) {
  Disk disk(root.lexically_normal(), before);
  PowerCut cut;
  for (std::size_t after = 0; after <= calls.size(); ++after) {
    if (after > 0) {
      const IoCall& call = calls[after - 1];
      disk.apply(call);
      if (call.op == "begin") cut.under_way = call.path;
      if (call.op == "end") {
        cut.ended.push_back(call.path);
        cut.under_way.clear();
      }
    }
    cut.after = after;
    std::set<std::string> seen;
    for (const std::vector<bool>& happened : choices(disk.open_changes())) {
      for (const Data data : {Data::kept, Data::lost, Data::zeros, Data::half}) {
        if (data != Data::kept && !disk.open_data()) break;
        const Tree tree = disk.tree(happened, data);
        cut.content = text_of(tree);
        if (!seen.insert(cut.content).second) continue;
        cut.materialise = [&tree](const fs::path& into) { make(tree, into); };
        if (!visit(cut)) return;
      }
    }
  }
}

}  // namespace tandem::testing
