#include "tandem/base/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "tandem/base/error.h"

namespace tandem {
namespace {

template <class Json>
Json parse_bounded(std::string_view text, const std::string& where, int depth) {
  using Event = typename Json::parse_event_t;
  std::vector<std::set<std::string>> keys;
  // The depth that the parser reports counts the containers that are open around the event.
  const auto watch = [&](int at, Event event, Json& value) {
    if (event == Event::object_start || event == Event::array_start) {
      if (at >= depth) {
        throw Error(ErrorKind::data,
                    "[base] expected JSON nested at most " + std::to_string(depth) + " deep",
                    where);
      }
      keys.resize(static_cast<std::size_t>(at) + 1);
      keys.emplace_back();
    } else if (event == Event::key) {
      const auto& key = value.template get_ref<const std::string&>();
      if (!keys.at(static_cast<std::size_t>(at)).insert(key).second) {
        throw Error(ErrorKind::data, "[base] the key \"" + key + "\" stands twice in an object",
                    where);
      }
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const typename Json::exception& error) {
    throw Error(ErrorKind::data, std::string("[base] no JSON: ") + error.what(), where);
  }
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& where, int depth) {
  return parse_bounded<nlohmann::json>(text, where, depth);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& where,
                                          int depth) {
  return parse_bounded<nlohmann::ordered_json>(text, where, depth);
}

}  // namespace tandem
