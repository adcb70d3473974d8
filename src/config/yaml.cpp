// yaml-cpp's events to our tree. Text is checked before yaml-cpp sees it, because its scanner looks
// far ahead and keeps what it found.

#include <yaml-cpp/yaml.h>
// After yaml.h: it needs its declarations.
#include <yaml-cpp/eventhandler.h>

#include <map>
#include <set>
#include <sstream>

#include "config/node.h"

namespace tandem::config {
namespace {

constexpr std::size_t kLongestKey = 200;

struct Refused {
  int line, column;
  std::string text;
};

// Length of the UTF-8 sequence at `at`, 0 when it is none (overlong, surrogate, truncated).
std::size_t utf8_length(const std::string& text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0u) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

// Size, encoding, control characters, tabs as indentation, and brackets opened without end.
void check_text(const std::string& text) {
  constexpr int kMaxOpen = 4 * kMaxDepth;
  if (text.size() > kMaxBytes) {
    throw Refused{1, 1, "expected at most " + std::to_string(kMaxBytes) + " bytes"};
  }
  int line = 1, column = 1, open = 0;
  bool indentation = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    const char c = text[at];
    if (length == 0) throw Refused{line, column, "expected UTF-8 text"};
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') ||
        c == 0x7f) {
      throw Refused{line, column, "expected text; got a control character"};
    }
    if (c == '\t' && indentation) {
      throw Refused{line, column, "a tab; indent with spaces"};
    }
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (open > kMaxOpen) throw Refused{line, column, "nested too deeply"};
    indentation = c == '\n' || (indentation && c == ' ');
    ++column;
    if (c == '\n') ++line, column = 1;
    at += length;
  }
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(Node& root, std::shared_ptr<const Document> document)
      : root_(root), document_(std::move(document)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) refuse(mark, "expected a key; got nothing");
    Node node = make(mark, Node::Kind::null);
    finish(std::move(node), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    if (value.find('\0') != std::string::npos) refuse(mark, "expected text; got a zero character");
    count(mark, 1, value.size());
    if (expects_key()) {
      if (anchor != YAML::NullAnchor) refuse(mark, "an anchor on a key");
      if (value.size() > kLongestKey) refuse(mark, "a key of more than 200 characters");
      if (!frames_.back().keys.insert(value).second) {
        refuse(mark, "the key " + quote(value) + " stands twice in this map");
      }
      frames_.back().key = value;
      frames_.back().key_place = place(mark);
      frames_.back().has_key = true;
      return;
    }
    Node node = make(mark, Node::Kind::scalar);
    node.text = value;
    node.quoted = tag == "!";
    finish(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) refuse(mark, "expected a key; got an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "an alias inside of what it stands for");
    std::size_t nodes = 0, bytes = 0;
    measure(found->second, nodes, bytes);
    count(mark, nodes, bytes);
    if (static_cast<int>(frames_.size()) + height(found->second) > kMaxDepth) {
      refuse(mark, "nested too deeply");
    }
    finish(Node(found->second), YAML::NullAnchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    start(mark, tag, anchor, Node::Kind::list);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    start(mark, tag, anchor, Node::Kind::map);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor;
    std::string key{};
    Place key_place{};
    bool has_key = false;
    std::set<std::string> keys{};
  };

  [[noreturn]] static void refuse(const YAML::Mark& mark, std::string text) {
    throw Refused{mark.line + 1, mark.column + 1, std::move(text)};
  }
  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, "tags (`!...`) have no meaning here");
  }
  Place place(const YAML::Mark& mark) const { return {document_, mark.line + 1, mark.column + 1}; }
  Node make(const YAML::Mark& mark, Node::Kind kind) const {
    Node node;
    node.kind = kind;
    node.place = place(mark);
    return node;
  }
  bool expects_key() const {
    return !frames_.empty() && frames_.back().node.kind == Node::Kind::map &&
           !frames_.back().has_key;
  }
  void count(const YAML::Mark& mark, std::size_t nodes, std::size_t bytes) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > kMaxNodes || bytes_ > kMaxText) {
      refuse(mark, "too large: more than " + std::to_string(kMaxNodes) +
                       " values, aliases counted each time");
    }
  }
  static void measure(const Node& node, std::size_t& nodes, std::size_t& bytes) {
    ++nodes;
    bytes += node.text.size();
    for (const Node& item : node.items) measure(item, nodes, bytes);
    for (const Entry& entry : node.entries) {
      bytes += entry.key.size();
      measure(entry.value, nodes, bytes);
    }
  }
  static int height(const Node& node) {
    int most = 0;
    for (const Node& item : node.items) most = std::max(most, height(item));
    for (const Entry& entry : node.entries) most = std::max(most, height(entry.value));
    return most + 1;
  }

  void start(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
             Node::Kind kind) {
    if (expects_key())
      refuse(mark,
             "expected a key; got " + std::string(name_of(kind)) + "; is each bracket closed?");
    check_tag(mark, tag);
    count(mark, 1, 0);
    if (static_cast<int>(frames_.size()) >= kMaxDepth) refuse(mark, "nested too deeply");
    frames_.push_back({make(mark, kind), anchor});
  }
  void end() {
    Node node = std::move(frames_.back().node);
    const YAML::anchor_t anchor = frames_.back().anchor;
    frames_.pop_back();
    finish(std::move(node), anchor);
  }
  void finish(Node node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == Node::Kind::list) {
      frame.node.items.push_back(std::move(node));
    } else {
      frame.node.entries.push_back({frame.key, frame.key_place, std::move(node)});
      frame.has_key = false;
    }
  }

  Node& root_;
  std::shared_ptr<const Document> document_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::size_t nodes_ = 0, bytes_ = 0;
};

}  // namespace

bool parse(const std::string& text, const std::shared_ptr<const Document>& document,
           Problems& problems, Node& out) {
  out = Node();
  out.place = {document, 1, 1};
  try {
    check_text(text);
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Builder builder(out, document);
    if (!parser.HandleNextDocument(builder)) return true;
    Node second;
    Builder rest(second, document);
    if (parser.HandleNextDocument(rest)) {
      throw Refused{second.place.line, second.place.column, "expected one document; got two"};
    }
    return true;
  } catch (const Refused& refused) {
    problems.add({document, refused.line, refused.column}, refused.text);
  } catch (const YAML::Exception& error) {
    const bool known = !error.mark.is_null();
    problems.add({document, known ? error.mark.line + 1 : 1, known ? error.mark.column + 1 : 1},
                 "not YAML: " + error.msg);
  }
  return false;
}

}  // namespace tandem::config
