#pragma once
// The visitor that fills a struct from the tree. It goes on after a mistake, so that all of them
// are found; `origins` holds the place of each value that was stated, by dotted key with positions.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/node.h"
#include "config/number.h"
#include "tandem/base/fields.h"

namespace tandem::config {

struct ReadContext {
  Problems& problems;
  std::map<std::string, Place>& origins;
  std::vector<std::string>* absent = nullptr;  // where paths that do not exist go; null: mistakes
};

class Reader final : public FieldVisitor {
 public:
  // `node` is null where the map is absent: then only required fields are mistakes, and those only
  // unless `quiet`. `key` is dotted with positions, `shown` with the names of stages.
  Reader(const Node* node, Place place, std::string key, std::string shown, ReadContext& context,
         bool quiet = false);

  void field(std::string_view name, bool& value, const Rule& rule) override;
  void field(std::string_view name, std::int64_t& value, const Rule& rule) override;
  void field(std::string_view name, double& value, const Rule& rule) override;
  void field(std::string_view name, std::string& value, const Rule& rule) override;
  void field(std::string_view name, std::vector<std::int64_t>& value, const Rule& rule) override;
  void field(std::string_view name, std::vector<double>& value, const Rule& rule) override;
  void field(std::string_view name, std::vector<std::string>& value, const Rule& rule) override;
  void block(std::string_view name, const Rule& rule, const Body& body) override;
  void optional_block(std::string_view name, bool& present, const Rule& rule,
                      const Body& body) override;
  void list(std::string_view name, std::size_t size, const Rule& rule,
            const std::function<void(std::size_t)>& resize,
            const std::function<void(std::size_t, FieldVisitor&)>& item) override;
  void map(std::string_view name, const std::vector<std::string>& keys, const Rule& rule,
           const std::function<void(const std::string&, FieldVisitor&)>& item) override;
  bool is_scalar(bool prefer_scalar) override;
  void self(double& value, const Rule& rule) override;
  void self(std::string& value, const Rule& rule) override;
  bool word(std::string_view name, std::string& value, const Rule& rule) override;
  bool number(std::string_view name, std::int64_t& value, bool prefer_number,
              const Rule& rule) override;
  void kind(std::string_view name, std::string& value, const SettingsTable& table,
            std::shared_ptr<Settings>& settings, const Rule& rule) override;
  void problem(std::string_view field_name, std::string text) override;

  // Reports keys that no field asked for. Call it after the fields.
  void finish();

 private:
  struct Known {
    std::string name, path;  // path: from this map, `optimizer.lr`
    std::vector<std::string> aliases;
  };

  // The node of a key, which is then known; null when absent (reported when required).
  const Node* take(std::string_view name, const Rule& rule);
  void expect_map();
  void adopt(const Reader& child, std::string_view name);
  void wrong(std::string_view name, const Node& node, const std::string& expected,
             const std::string& near = {});
  std::string shown(std::string_view name) const;
  std::string key(std::string_view name) const;
  struct Suggestion {
    std::string near{}, note{};
    bool from_top = false;  // `near` is dotted from the top of the file, not from this map
  };
  Suggestion suggestion(const std::string& unknown) const;
  // Reads a scalar of each type; false after a problem.
  bool read(std::string_view name, const Node& node, bool& value);
  bool read(std::string_view name, const Node& node, std::int64_t& value, const Rule& rule);
  bool read(std::string_view name, const Node& node, double& value, const Rule& rule);
  bool read(std::string_view name, const Node& node, std::string& value, const Rule& rule);
  template <class T>
  void scalar(std::string_view name, T& value, const Rule& rule);
  template <class T>
  void sequence(std::string_view name, std::vector<T>& value, const Rule& rule);

  const Node* node_;
  Place place_;
  std::string key_, shown_;
  ReadContext& context_;
  bool quiet_;
  bool lenient_ = false;  // the kind is unknown: so are its keys
  bool not_a_map_ = false;
  std::set<std::string, std::less<>> own_, bad_;
  std::vector<Known> known_;
};

}  // namespace tandem::config
