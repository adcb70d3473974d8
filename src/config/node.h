#pragma once
// A YAML document as this room holds it: every node with its place, after aliases are resolved.
// Limits keep crafted files harmless: kMaxBytes of text, kMaxNodes nodes (aliases counted each time
// that they are used), kMaxDepth levels.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tandem::config {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20, kMaxNodes = 50000, kMaxText = 8u << 20;
constexpr int kMaxDepth = 64, kMaxFiles = 256;

// A file or an override; relative paths in it resolve from `directory`.
struct Document {
  std::string name{};  // as shown: the file's path, or `key=value`
  std::filesystem::path directory{};
  bool is_override = false;
  int order = 0;  // in which the documents were read; sorts the report
};

struct Place {
  std::shared_ptr<const Document> document{};
  int line = 1, column = 1;
};
std::string to_string(const Place& place);  // `file:line:column`, or `override: key=value`

struct Entry;
struct Node {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;
  bool quoted = false;
  bool removes = false;  // a null that takes away what an include stated
  Place place;
  std::vector<Node> items;
  std::vector<Entry> entries;

  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
};
struct Entry {
  std::string key;
  Place place;
  Node value;
};

std::string_view name_of(Node::Kind kind);  // `a map`
// In quotes, shortened, and on one line: for messages.
std::string quote(std::string_view text);

// All mistakes of one load, raised together.
class Problems {
 public:
  void add(const Place& place, std::string text);
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  // Throws Error(config): one line each, in the order of documents, lines and columns.
  void raise_if_any();

 private:
  std::vector<std::pair<Place, std::string>> list_;
};

// Parses one document. False after a problem was added: not UTF-8, not YAML, more than one
// document, a key twice, a tag, too deep, too large. An empty document gives a null node.
bool parse(const std::string& text, const std::shared_ptr<const Document>& document,
           Problems& problems, Node& out);

// Lays `over` on `base`: maps merge, anything else is replaced, a null takes away.
// The top level's `stages` merge by name.
void merge_top(Node& base, Node over);

// The model's own keys, without its start and its tokenizer, below those of each stage's `model`.
void spread_model(Node& root);

// The file with its includes merged below it. False after a problem was added. read_files: the file
// itself and each that it includes, as it was named from there.
bool read_tree(const std::filesystem::path& path, Problems& problems, Node& out,
               std::vector<std::filesystem::path>* read_files = nullptr);

// Applies `dotted.key=value`.
void apply_override(Node& root, const std::string& text, int order, Problems& problems);

}  // namespace tandem::config
