#pragma once
// How a room describes its settings once, so that the YAML reader, the writer of the resolved
// config and the page of the schema all see the same fields.
//
// Goals: one list of fields per struct; defaults are the struct's member initialisers; no torch, no
// YAML in this header. Non-goals: arbitrary graphs, polymorphic containers, reflection.
//
//   struct ScheduleSettings { double lr = 1e-4; std::string schedule = "cosine"; };
//   inline void fields(FieldVisitor& v, ScheduleSettings& s) {
//     v.field("lr", s.lr, {.doc = "peak learning rate", .min = 0});
//     v.field("schedule", s.schedule, {.doc = "...", .choices = {"cosine", "linear", "constant"}});
//   }

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

// What a number in the file may carry behind it: `2000 steps`, `2 epochs`, `64 MiB`, `90 s`.
enum class Unit { none, steps, epochs, samples, bytes, seconds };

struct Rule {
  std::string doc{};  // one line, for docs/config.md
  bool required = false;
  std::optional<double> min{}, max{};  // inclusive
  bool above_min = false;              // min itself is not allowed
  std::vector<std::string> choices{};  // of a string
  Unit unit = Unit::none;
  // The default that stands for "not given" (a sentinel, or any number for an empty string, an
  // empty list or an absent block): left out of the resolved config, so that `min` may exclude it.
  // It must be the struct's own default.
  std::optional<double> unset{};
  bool path = false;        // a string that is a path: resolved from the file that states it
  bool must_exist = false;  // such a path has to exist
  std::vector<std::string> aliases{};  // names that other trainers use, for "did you mean" only
};

class Settings;
struct SettingsTable;

class FieldVisitor {
 public:
  using Body = std::function<void(FieldVisitor&)>;
  virtual ~FieldVisitor() = default;

  virtual void field(std::string_view name, bool& value, const Rule& rule) = 0;
  virtual void field(std::string_view name, std::int64_t& value, const Rule& rule) = 0;
  virtual void field(std::string_view name, double& value, const Rule& rule) = 0;
  virtual void field(std::string_view name, std::string& value, const Rule& rule) = 0;
  virtual void field(std::string_view name, std::vector<std::int64_t>& value, const Rule&) = 0;
  virtual void field(std::string_view name, std::vector<double>& value, const Rule& rule) = 0;
  virtual void field(std::string_view name, std::vector<std::string>& value, const Rule&) = 0;

  // A nested map. An optional block sets `present`; `null` in an override removes it.
  virtual void block(std::string_view name, const Rule& rule, const Body& body) = 0;
  virtual void optional_block(std::string_view name, bool& present, const Rule& rule,
                              const Body& body) = 0;

  // A list of maps: `resize(n)` is called first by a reader, then `item(i, visitor)` for each.
  virtual void list(std::string_view name, std::size_t size, const Rule& rule,
                    const std::function<void(std::size_t)>& resize,
                    const std::function<void(std::size_t, FieldVisitor&)>& item) = 0;

  // A map with free keys: `keys` are those present now; a reader calls `item` for each key in the
  // file's order, creating it. A free map of numbers is written with item -> v.self(number).
  virtual void map(std::string_view name, const std::vector<std::string>& keys, const Rule& rule,
                   const std::function<void(const std::string&, FieldVisitor&)>& item) = 0;

  // Inside list or map items that are scalars rather than maps (`losses: {itc: 1}`,
  // `train: ["visual.*", {match: ...}]`): true when the current node is a scalar (a writer answers
  // with `prefer_scalar`).
  virtual bool is_scalar(bool prefer_scalar) = 0;
  virtual void self(double& value, const Rule& rule) = 0;
  virtual void self(std::string& value, const Rule& rule) = 0;

  // A key that may hold one of the words of rule.choices where a list or a map stands otherwise
  // (`train: all`, `mix: proportional`); rule.doc names what else may stand there. A reader answers
  // true when a scalar stands there and sets `value`; a writer when `value` is not empty. On false,
  // the caller goes on with list() or map() of the same name.
  virtual bool word(std::string_view name, std::string& value, const Rule& rule);

  // A key that may hold a whole number where a map stands otherwise (`keep: 3`). A reader answers
  // true when a scalar stands there and reads it; a writer when `prefer_number`. On false, the
  // caller goes on with block() of the same name.
  virtual bool number(std::string_view name, std::int64_t& value, bool prefer_number,
                      const Rule& rule);

  // The name of one of several kinds; the settings of that kind stand in the same map. A reader
  // makes them from the table and reports a name that it does not hold.
  virtual void kind(std::string_view name, std::string& value, const SettingsTable& table,
                    std::shared_ptr<Settings>& settings, const Rule& rule);

  // A reader records a problem of the current node's field (or of the node itself: an empty name),
  // for cross-field checks; others ignore it.
  virtual void problem(std::string_view field_name, std::string text) = 0;
};

template <class T>
void nested(FieldVisitor& v, std::string_view name, T& value, const Rule& rule = {}) {
  v.block(name, rule, [&](FieldVisitor& inner) { fields(inner, value); });
}

// The settings of one of several kinds (a family, a source's format), made by the room that owns
// it and described through the same visitor. `fields` may call v.problem for cross-field errors.
class Settings {
 public:
  virtual ~Settings() = default;
  virtual void fields(FieldVisitor& visitor) = 0;
};

// A table of kinds: nullptr when there is none of that name.
struct SettingsTable {
  std::vector<std::string> names{};
  std::function<std::unique_ptr<Settings>(std::string_view)> make{};
};

inline bool FieldVisitor::word(std::string_view, std::string&, const Rule&) { return false; }

inline bool FieldVisitor::number(std::string_view, std::int64_t&, bool, const Rule&) {
  return false;
}

inline void FieldVisitor::kind(std::string_view name, std::string& value, const SettingsTable&,
                               std::shared_ptr<Settings>& settings, const Rule& rule) {
  field(name, value, rule);
  if (settings) settings->fields(*this);
}

}  // namespace tandem
