#include "tandem/base/json.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "tandem/base/error.h"

namespace tandem {

nlohmann::json parse_json(std::string_view text, const std::string& where, int depth) {
  using nlohmann::json;
  std::vector<std::set<std::string>> keys;
  // The depth that the parser reports counts the containers that are open around the event.
  const auto watch = [&](int at, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (at >= depth) {
        throw Error(ErrorKind::data,
                    "[base] expected JSON nested at most " + std::to_string(depth) + " deep",
                    where);
      }
      keys.resize(static_cast<std::size_t>(at) + 1);
      keys.emplace_back();
    } else if (event == json::parse_event_t::key) {
      if (!keys.at(static_cast<std::size_t>(at)).insert(value.get<std::string>()).second) {
        throw Error(ErrorKind::data,
                    "[base] the key \"" + value.get<std::string>() + "\" stands twice in an object",
                    where);
      }
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    throw Error(ErrorKind::data, std::string("[base] no JSON: ") + error.what(), where);
  }
}

}  // namespace tandem
