#include "data/json_list.h"

#include <algorithm>

#include "tandem/base/error.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;

constexpr int max_depth = 32;

}  // namespace

Json for_each_element(const std::string& text, const std::string& file, const std::string& format,
                      const VisitElement& visit) {
  std::string list;
  std::int64_t number = 0;
  bool is_list = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    const int element = is_list ? 1 : 2;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth == 0) is_list = event == Event::array_start;
      if (depth >= max_depth) {
        throw Error(
            ErrorKind::data,
            "[" + format + "] expected JSON nested at most " + std::to_string(max_depth) + " deep",
            file);
      }
      if (depth == element - 1) number = 0;
    } else if (event == Event::key && depth == 1 && !is_list) {
      list = value.get<std::string>();
    } else if (event == Event::object_end && depth == element) {
      visit(list, number++, value);
      return false;
    }
    return true;
  };
  try {
    Json rest = Json::parse(text, watch);
    if (rest.is_structured()) return rest;
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::data, "[" + format + "] no JSON: " + error.what(), file);
  }
  throw Error(ErrorKind::data, "[" + format + "] expected an object or a list", file);
}

std::string text_of(const Json& object, const char* key) {
  const auto member = object.find(key);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

std::string number_text_of(const Json& object, const char* key) {
  const auto member = object.find(key);
  if (member == object.end()) return "";
  if (member->is_number_integer()) return std::to_string(member->get<std::int64_t>());
  if (!member->is_string()) return "";
  const std::string text = member->get<std::string>();
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? text : "";
}

std::string element_place(const std::string& file, const std::string& list, std::int64_t number) {
  return file + ": " + list + "[" + std::to_string(number) + "]";
}

}  // namespace tandem::data
