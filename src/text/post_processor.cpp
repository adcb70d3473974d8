#include "text/post_processor.h"

namespace tandem::text {
namespace {

constexpr std::size_t kMaxMarks = 4096;

class Reader {
 public:
  explicit Reader(std::int32_t vocab_size) : vocab_size_(vocab_size) {}

  void add(const JsonNode& node) {
    const std::string type = node.type();
    if (type == "Sequence") {
      node.only({"type", "processors"});
      const JsonNode parts = node.at("processors");
      for (std::size_t i = 0; i < parts.size(); ++i) add(parts.at(i));
    } else if (type == "ByteLevel") {
      node.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      node.only({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
      wrap({{pair_id(node.at("cls"))}, {pair_id(node.at("sep"))}}, node);
    } else if (type == "TemplateProcessing") {
      add_template(node);
    } else {
      node.at("type").fail(
          "a post-processor of {Sequence, ByteLevel, BertProcessing, RobertaProcessing, "
          "TemplateProcessing}");
    }
  }

  Marks marks;

 private:
  std::int32_t id(const JsonNode& node) const {
    return static_cast<std::int32_t>(node.integer(0, vocab_size_ - 1));
  }

  std::int32_t pair_id(const JsonNode& node) const {
    if (node.size() != 2) node.fail("[\"token\", id]");
    node.at(std::size_t{0}).string();
    return id(node.at(std::size_t{1}));
  }

  // Later processors go around what earlier ones made.
  void wrap(const Marks& outer, const JsonNode& node) {
    marks.before.insert(marks.before.begin(), outer.before.begin(), outer.before.end());
    marks.after.insert(marks.after.end(), outer.after.begin(), outer.after.end());
    if (marks.size() > kMaxMarks) node.fail("at most " + std::to_string(kMaxMarks) + " marks");
  }

  void add_template(const JsonNode& node) {
    node.only({"type", "single", "pair", "special_tokens"});
    const JsonNode single = node.at("single");
    Marks outer;
    bool text = false;
    for (std::size_t i = 0; i < single.size(); ++i) {
      const JsonNode piece = single.at(i);
      piece.only({"Sequence", "SpecialToken"});
      if (const auto sequence = piece.find("Sequence")) {
        if (sequence->at("id").string() != "A" || text) sequence->fail("the text A, once");
        text = true;
        continue;
      }
      const std::string name = piece.at("SpecialToken").at("id").string();
      const JsonNode ids = node.at("special_tokens").at(name).at("ids");
      for (std::size_t k = 0; k < ids.size(); ++k) {
        (text ? outer.after : outer.before).push_back(id(ids.at(k)));
      }
    }
    if (!text) single.fail("the text A, once");
    wrap(outer, node);
  }

  std::int32_t vocab_size_;
};

}  // namespace

Marks read_marks(const JsonNode& node, std::int32_t vocab_size) {
  Reader reader(vocab_size);
  reader.add(node);
  return std::move(reader.marks);
}

}  // namespace tandem::text
