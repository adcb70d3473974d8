#include "config/reader.h"

#include <algorithm>

#include "config/foreign.h"
#include "tandem/config/run_config.h"

namespace tandem::config {
namespace {

std::string did_you_mean(const std::string& near) {
  return near.empty() ? std::string() : "; did you mean " + near + "?";
}

// For the report: a stage is called by its name, other items by their position.
std::string item_label(const Node& item, std::size_t position) {
  const Node* name = item.find("name");
  const bool named = name && name->kind == Node::Kind::scalar && !name->text.empty() &&
                     name->text.size() <= 64 && name->text.find('\n') == std::string::npos;
  return named ? name->text : std::to_string(position);
}

// A null takes a value away; for a list or a map it is the same as leaving it out.
bool absent(const Node* node) { return !node || (node->kind == Node::Kind::null && node->removes); }

}  // namespace

Reader::Reader(const Node* node, Place place, std::string key, std::string shown,
               ReadContext& context, bool quiet)
    : node_(node),
      place_(std::move(place)),
      key_(std::move(key)),
      shown_(std::move(shown)),
      context_(context),
      quiet_(quiet) {}

std::string Reader::shown(std::string_view name) const {
  if (name.empty()) return shown_;
  return shown_.empty() ? std::string(name) : shown_ + "." + std::string(name);
}

std::string Reader::key(std::string_view name) const {
  if (name.empty()) return key_;
  return key_.empty() ? std::string(name) : key_ + "." + std::string(name);
}

void Reader::wrong(std::string_view name, const Node& node, const std::string& expected,
                   const std::string& near) {
  bad_.emplace(name);
  std::string got(name_of(node.kind));
  if (node.kind == Node::Kind::scalar) got = (node.quoted ? "the text " : "") + quote(node.text);
  context_.problems.add(
      node.place, shown(name) + ": expected " + expected + "; got " + got + did_you_mean(near));
}

void Reader::expect_map() {
  if (!node_ || not_a_map_ || node_->kind == Node::Kind::map) return;
  not_a_map_ = true;
  quiet_ = true;
  wrong("", *node_, "a map");
}

const Node* Reader::take(std::string_view name, const Rule& rule) {
  expect_map();
  if (own_.emplace(name).second) known_.push_back({std::string(name), {}, rule.aliases});
  const Node* found = node_ ? node_->find(name) : nullptr;
  if (absent(found)) {
    if (rule.required && !quiet_) {
      bad_.emplace(name);
      context_.problems.add(place_, "missing " + shown(name));
    }
    return nullptr;
  }
  if (found->kind != Node::Kind::map) context_.origins[key(name)] = found->place;
  return found;
}

void Reader::adopt(const Reader& child, std::string_view name) {
  for (const Known& known : child.known_) {
    const std::string tail = known.path.empty() ? known.name : known.path;
    known_.push_back({known.name, std::string(name) + "." + tail, known.aliases});
  }
}

void Reader::block(std::string_view name, const Rule& rule, const Body& body) {
  const Node* node = take(name, rule);
  if (node && node->kind == Node::Kind::null) {  // `until:` with nothing behind it
    if (rule.required && !quiet_) context_.problems.add(node->place, "missing " + shown(name));
    node = nullptr;
  }
  const bool missing = !node && rule.required;
  Reader inner(node, node ? node->place : place_, key(name), shown(name), context_,
               quiet_ || missing);
  inner.expect_map();
  body(inner);
  inner.finish();
  adopt(inner, name);
}

void Reader::optional_block(std::string_view name, bool& present, const Rule& rule,
                            const Body& body) {
  Rule optional = rule;
  optional.required = false;
  take(name, optional);
  const Node* node = node_ ? node_->find(name) : nullptr;
  if (node) present = node->kind != Node::Kind::null;
  if (!present) node = nullptr;
  Reader inner(node, node ? node->place : place_, key(name), shown(name), context_,
               quiet_ || !present);
  inner.expect_map();
  body(inner);
  inner.finish();
  adopt(inner, name);
}

void Reader::list(std::string_view name, std::size_t, const Rule& rule,
                  const std::function<void(std::size_t)>& resize,
                  const std::function<void(std::size_t, FieldVisitor&)>& item) {
  const Node* node = take(name, rule);
  if (!node) return;
  if (node->kind != Node::Kind::list) {
    wrong(name, *node, "a list");
    return;
  }
  if (rule.required && node->items.empty()) {
    bad_.emplace(name);
    context_.problems.add(node->place, shown(name) + ": expected at least one");
  }
  resize(node->items.size());
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const Node& each = node->items[i];
    const std::string below = key(name) + "." + std::to_string(i);
    if (each.kind != Node::Kind::map) context_.origins[below] = each.place;
    Reader inner(&each, each.place, below, shown(name) + "." + item_label(each, i), context_,
                 quiet_);
    item(i, inner);
    inner.finish();
    if (i == 0) adopt(inner, std::string(name) + ".N");
  }
}

void Reader::map(std::string_view name, const std::vector<std::string>&, const Rule& rule,
                 const std::function<void(const std::string&, FieldVisitor&)>& item) {
  const Node* node = take(name, rule);
  if (!node) return;
  if (node->kind != Node::Kind::map) {
    wrong(name, *node, "a map");
    return;
  }
  if (rule.required && node->entries.empty()) {
    bad_.emplace(name);
    context_.problems.add(node->place, shown(name) + ": expected at least one");
  }
  for (const Entry& entry : node->entries) {
    if (absent(&entry.value)) continue;
    const std::string below = key(name) + "." + entry.key;
    if (entry.value.kind != Node::Kind::map) context_.origins[below] = entry.value.place;
    Reader inner(&entry.value, entry.place, below, shown(name) + "." + entry.key, context_, quiet_);
    item(entry.key, inner);
    inner.finish();
    if (&entry == &node->entries.front()) adopt(inner, std::string(name) + ".NAME");
  }
}

bool Reader::is_scalar(bool) {
  return node_ && (node_->kind == Node::Kind::scalar || node_->kind == Node::Kind::null);
}

bool Reader::word(std::string_view name, std::string& value, const Rule& rule) {
  value.clear();
  const Node* node = node_ ? node_->find(name) : nullptr;
  if (!node || node->kind != Node::Kind::scalar) return false;
  take(name, rule);
  for (const std::string& choice : rule.choices) {
    if (choice == node->text) {
      value = choice;
      return true;
    }
  }
  std::string expected;
  for (const std::string& choice : rule.choices) expected += choice + ", ";
  expected.resize(expected.size() - 2);
  wrong(name, *node, expected + " or " + rule.doc, nearest(node->text, rule.choices));
  return true;
}

bool Reader::number(std::string_view name, std::int64_t& value, bool, const Rule& rule) {
  const Node* node = node_ ? node_->find(name) : nullptr;
  if (!node || node->kind != Node::Kind::scalar) return false;
  field(name, value, rule);
  return true;
}

void Reader::kind(std::string_view name, std::string& value, const SettingsTable& table,
                  std::shared_ptr<Settings>& settings, const Rule& rule) {
  Rule any = rule;
  any.choices = table.names;
  field(name, value, any);
  const bool good = node_ && node_->kind == Node::Kind::map && !bad_.count(name) && !value.empty();
  settings = good && table.make ? table.make(value) : nullptr;
  lenient_ = !settings;
  if (settings) settings->fields(*this);
}

void Reader::problem(std::string_view field_name, std::string text) {
  if (not_a_map_ || (quiet_ && !node_) || bad_.count(field_name)) return;
  const Node* node = node_ && !field_name.empty() ? node_->find(field_name) : nullptr;
  const std::string name = shown(field_name);
  context_.problems.add(node ? node->place : place_, (name.empty() ? "" : name + ": ") + text);
}

// What an unknown key was meant to be. Names of other trainers go before those that are only near.
Reader::Suggestion Reader::suggestion(const std::string& unknown) const {
  const std::string wanted = folded(unknown);
  const auto alias = [&](const Known& known) {
    return std::find(known.aliases.begin(), known.aliases.end(), wanted) != known.aliases.end();
  };
  const Foreign* theirs = foreign(unknown);
  if (theirs && theirs->key.empty()) return {.note = std::string(theirs->note)};
  const auto noted = [&](const std::string& near, bool from_top = false) {
    const std::string_view key = theirs ? theirs->key : std::string_view();
    const bool same = near.substr(near.rfind('.') + 1) == key.substr(key.rfind('.') + 1);
    return Suggestion{near, theirs && same ? std::string(theirs->note) : std::string(), from_top};
  };
  std::vector<std::string> names;
  for (const Known& known : known_) {
    if (!known.path.empty()) continue;
    if (alias(known) || known.name == wanted) return noted(known.name);
    names.push_back(known.name);
  }
  for (const Known& known : known_) {  // the right key in the wrong map
    if (known.name == unknown) return noted(known.path);
  }
  if (theirs) {  // by its path from here where it lies below this map
    const std::string_view wanted_name = theirs->key.substr(theirs->key.rfind('.') + 1);
    for (const Known& known : known_) {
      if (alias(known) && known.name == wanted_name) return noted(known.path);
    }
    if (theirs->key.starts_with("model.")) {  // systems have keys of their own for it
      for (const Known& known : known_) {
        if (alias(known)) return noted(known.path);
      }
    }
    return noted(std::string(theirs->key), true);
  }
  const std::string near = nearest(unknown, names);
  if (!near.empty()) return {near};
  const auto elsewhere = std::find_if(known_.begin(), known_.end(), alias);
  return {elsewhere != known_.end() ? elsewhere->path : std::string()};
}

void Reader::finish() {
  if (!node_ || node_->kind != Node::Kind::map || lenient_ || known_.empty()) return;
  for (const Entry& entry : node_->entries) {
    if (own_.count(entry.key)) continue;
    Suggestion meant = suggestion(entry.key);
    const Place& place = entry.value.place.document && entry.value.place.document->is_override
                             ? entry.value.place
                             : entry.place;
    if (!meant.near.empty() && !meant.from_top && place.document && place.document->is_override) {
      meant.near = shown(meant.near);
    }
    std::string text = "unknown key " + quote(shown(entry.key)) + did_you_mean(meant.near);
    if (!meant.note.empty()) text += (meant.near.empty() ? "; " : " (") + meant.note;
    if (!meant.note.empty() && !meant.near.empty()) text += ")";
    context_.problems.add(place, text);
  }
}

}  // namespace tandem::config
