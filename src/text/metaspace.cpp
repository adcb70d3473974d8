#include "text/metaspace.h"

#include "text/unicode.h"

namespace tandem::text {

Metaspace::Metaspace(const JsonNode& node) {
  node.only({"type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"});
  mark = node.at("replacement").string();
  if (chars_in(mark) != 1) node.at("replacement").fail("one character");
  if (const auto scheme = node.find("prepend_scheme")) {
    const std::string name = scheme->string();
    if (name != "always" && name != "first" && name != "never") {
      scheme->fail("one of {always, first, never}");
    }
    prepend = name == "always"  ? Prepend::always
              : name == "first" ? Prepend::first
                                : Prepend::never;
  }
  // As files had it before 2024.
  if (!node.boolean_or("add_prefix_space", true)) {
    if (node.find("prepend_scheme") && prepend != Prepend::never) {
      node.at("prepend_scheme").fail("\"never\" beside add_prefix_space: false");
    }
    prepend = Prepend::never;
  }
  split = node.boolean_or("split", true);
}

}  // namespace tandem::text
