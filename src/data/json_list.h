#pragma once
// Files of JSON with hundreds of thousands of objects in one or more lists: each object is handed
// over and not kept.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace tandem::data {

// `list`: the member that holds the list ("images", "annotations"); "" for a file that is a list
// itself. `number` counts from 0 in each list.
using VisitElement = std::function<void(const std::string& list, std::int64_t number,
                                        const nlohmann::json& element)>;

// Gives what stands at the top beside the lists' objects. Throws Error(data) at `file`: no JSON,
// neither an object nor a list, nested deeper than 32; `format` begins the message.
nlohmann::json for_each_element(const std::string& text, const std::string& file,
                                const std::string& format, const VisitElement& visit);

// A member's text; empty when it is no text or not there.
std::string text_of(const nlohmann::json& object, const char* key);
// A member that is a whole number or the text of one, as its digits ("0123" stays so); else empty.
std::string number_text_of(const nlohmann::json& object, const char* key);

// Where an element stands: FILE: LIST[NUMBER].
std::string element_place(const std::string& file, const std::string& list, std::int64_t number);

}  // namespace tandem::data
