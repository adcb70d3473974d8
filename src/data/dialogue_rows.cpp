#include "data/dialogue_rows.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/file.h"
#include "tandem/base/error.h"
#include "tandem/base/json.h"

namespace tandem::data {
namespace {

using Json = nlohmann::json;
using text::Part;
using text::PartKind;

std::string in_quotes(const Json& value) {
  const std::string told = value.dump();
  return told.size() <= 60 ? told : told.substr(0, 57) + "...";
}

class RowReader {
 public:
  explicit RowReader(const std::string& where) : where_(where) {}

  DialogueRow row(const Json& object) {
    if (!object.is_object()) fail("expected an object; got " + in_quotes(object));
    if (object.contains("chosen") || object.contains("rejected")) {
      preference(object);
    } else if (object.contains("messages")) {
      names_of(object);
      row_.sample.turns = messages(object["messages"], "messages");
      expect_all_used();
    } else if (object.contains("conversations")) {
      names_of(object);
      conversation(object["conversations"]);
      expect_all_used();
    } else if (object.contains("texts")) {
      document(object);
    } else {
      fail("expected conversations, messages, chosen and rejected, or texts");
    }
    system_of(object);
    if (row_.sample.turns.empty()) fail("expected turns; got none");
    return std::move(row_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::data, "[dialogue] " + what, where_);
  }

  std::string string_of(const Json& object, const char* key, const std::string& place) const {
    const auto member = object.find(key);
    if (member == object.end() || !member->is_string()) {
      fail("expected a text `" + std::string(key) + "` in " + place);
    }
    return member->get<std::string>();
  }

  // A name, or {"path": NAME}.
  std::string name_of(const Json& value, const std::string& place) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_object()) return string_of(value, value.contains("path") ? "path" : "url", place);
    fail("expected a name in " + place + "; got " + in_quotes(value));
  }

  std::vector<std::string> list_of(const Json& object, const char* one, const char* many) const {
    std::vector<std::string> names;
    for (const char* key : {one, many}) {
      const auto member = object.find(key);
      if (member == object.end() || member->is_null()) continue;
      if (!member->is_array()) {
        names.push_back(name_of(*member, key));
        continue;
      }
      for (const Json& name : *member) names.push_back(name_of(name, key));
    }
    return names;
  }

  void names_of(const Json& object) {
    given_ = list_of(object, "image", "images");
    given_clips_ = list_of(object, "video", "videos");
  }

  std::int64_t picture(std::string name) {
    row_.pictures.push_back(std::move(name));
    return static_cast<std::int64_t>(row_.pictures.size()) - 1;
  }

  std::int64_t next_given() {
    if (used_ == given_.size()) {
      fail("expected as many pictures as tags; got " + std::to_string(given_.size()) +
           " and more tags");
    }
    return picture(given_[used_++]);
  }

  std::int64_t next_clip() {
    if (used_clips_ == given_clips_.size()) {
      fail("expected as many videos as tags; got " + std::to_string(given_clips_.size()) +
           " and more tags");
    }
    row_.clips.push_back({given_clips_[used_clips_++], {}, 0});
    return static_cast<std::int64_t>(row_.clips.size()) - 1;
  }

  void expect_all_used() const {
    const std::size_t left = given_.size() - used_, clips = given_clips_.size() - used_clips_;
    if (left + clips == 0) return;
    fail("expected a tag for each picture and video; " + std::to_string(left + clips) +
         " stand nowhere");
  }

  std::string role_of(const std::string& name) const {
    if (name == "human" || name == "user") return "user";
    if (name == "gpt" || name == "assistant" || name == "chatgpt" || name == "bing" ||
        name == "bard") {
      return "assistant";
    }
    if (name == "system") return "system";
    fail("expected a turn of {human, user, gpt, assistant, system}; got one of '" + name + "'");
  }

  // What stands for something in a text: a tag, or <img>NAME</img>.
  struct Tag {
    std::size_t at = std::string::npos, bytes = 0;
    PartKind kind = PartKind::text;
    std::string name{};
  };

  Tag next_tag(const std::string& words) const {
    Tag tag;
    const auto found = [&](const char* mark, PartKind kind) {
      const std::size_t at = words.find(mark);
      if (at < tag.at) tag = {at, std::string_view(mark).size(), kind, {}};
    };
    found("<image>", PartKind::picture);
    found("<video>", PartKind::clip);
    const std::size_t open = words.find("<img>"), close = words.find("</img>", open);
    if (open < tag.at && close != std::string::npos) {
      tag = {open, close + 6 - open, PartKind::picture, words.substr(open + 5, close - open - 5)};
    }
    return tag;
  }

  std::vector<Part> tagged(std::string words) {
    std::vector<Part> parts;
    Tag tag = next_tag(words);
    const bool strips = tag.kind != PartKind::text && tag.name.empty();
    const auto put = [&](std::string text) {
      if (text.empty()) return;
      parts.push_back(text::text_part(std::move(text)));
      parts.back().tagged = strips;
    };
    for (; tag.kind != PartKind::text; tag = next_tag(words)) {
      put(words.substr(0, tag.at));
      if (tag.kind == PartKind::clip) {
        parts.push_back(text::clip_part(next_clip()));
      } else {
        parts.push_back(
            text::picture_part(tag.name.empty() ? next_given() : picture(std::move(tag.name))));
      }
      words.erase(0, tag.at + tag.bytes);
    }
    put(std::move(words));
    return parts;
  }

  // Tags in replies are text.
  std::vector<Part> parts_of_words(std::string words, const std::string& role) {
    if (role == "user") return tagged(std::move(words));
    return {text::text_part(std::move(words))};
  }

  void conversation(const Json& turns) {
    if (!turns.is_array()) fail("expected a list `conversations`");
    bool begun = false;
    for (const Json& turn : turns) {
      const std::string place = "conversations";
      if (!turn.is_object()) fail("expected turns as objects; got " + in_quotes(turn));
      const std::string role = role_of(string_of(turn, "from", place));
      std::string words = string_of(turn, "value", place);
      if (role == "assistant" && !begun) continue;  // said before anyone asked
      begun = begun || role == "user";
      row_.sample.turns.push_back({role, parts_of_words(std::move(words), role)});
    }
  }

  void number_of(const Json& object, const char* key, std::int64_t& value) const {
    const auto member = object.find(key);
    if (member == object.end() || member->is_null()) return;
    if (!member->is_number() || !(member->get<double>() >= 0) || member->get<double>() > 1e15) {
      fail("expected a number `" + std::string(key) + "`; got " + in_quotes(*member));
    }
    value = static_cast<std::int64_t>(member->get<double>());
  }

  void number_of(const Json& object, const char* key, double& value) const {
    const auto member = object.find(key);
    if (member == object.end() || member->is_null()) return;
    if (!member->is_number() || !(member->get<double>() >= 0)) {
      fail("expected a number `" + std::string(key) + "`; got " + in_quotes(*member));
    }
    value = member->get<double>();
  }

  text::VisionWish wish_of(const Json& item) const {
    text::VisionWish wish;
    number_of(item, "min_pixels", wish.min_pixels);
    number_of(item, "max_pixels", wish.max_pixels);
    number_of(item, "resized_height", wish.height);
    number_of(item, "resized_width", wish.width);
    number_of(item, "fps", wish.fps);
    number_of(item, "nframes", wish.frames);
    number_of(item, "min_frames", wish.min_frames);
    number_of(item, "max_frames", wish.max_frames);
    number_of(item, "video_start", wish.start);
    number_of(item, "video_end", wish.end);
    if (wish.fps > 0 && wish.frames > 0) fail("expected `fps` or `nframes`; got both");
    return wish;
  }

  Part clip_of(const Json& item) {
    const auto named = item.find("video");
    Part part = text::clip_part(0);
    if (named == item.end()) {
      part.index = next_clip();
    } else {
      DialogueRow::VideoNames clip;
      if (named->is_array()) {
        for (const Json& frame : *named) clip.frames.push_back(name_of(frame, "video"));
        number_of(item, "fps", clip.fps);
      } else {
        clip.file = name_of(*named, "video");
      }
      row_.clips.push_back(std::move(clip));
      part.index = static_cast<std::int64_t>(row_.clips.size()) - 1;
    }
    part.wish = wish_of(item);
    return part;
  }

  Part picture_of(const Json& item) {
    const char* key = item.contains("image_url") ? "image_url" : "image";
    const auto named = item.find(key);
    Part part = text::picture_part(
        named == item.end() || named->is_null() ? next_given() : picture(name_of(*named, key)));
    part.wish = wish_of(item);
    return part;
  }

  Part part_of(const Json& item) {
    if (item.is_string()) return text::text_part(item.get<std::string>());
    if (!item.is_object()) fail("expected content as objects; got " + in_quotes(item));
    const auto has = [&](const char* key) { return item.contains(key); };
    const std::string kind = item.value("type", has("image")   ? "image"
                                                : has("video") ? "video"
                                                               : "text");
    if (kind == "image" || kind == "image_url") return picture_of(item);
    if (kind == "video") return clip_of(item);
    if (kind == "text") return text::text_part(string_of(item, "text", "content"));
    fail("expected content of {text, image, image_url, video}; got '" + kind + "'");
  }

  std::vector<Turn> messages(const Json& list, const std::string& place) {
    if (!list.is_array()) fail("expected a list `" + place + "`");
    std::vector<Turn> turns;
    for (const Json& message : list) {
      if (!message.is_object()) fail("expected messages as objects; got " + in_quotes(message));
      Turn turn{role_of(string_of(message, "role", place)), {}};
      const auto content = message.find("content");
      if (content == message.end()) fail("expected `content` in " + place);
      if (content->is_array()) {
        for (const Json& item : *content) turn.parts.push_back(part_of(item));
      } else {
        turn.parts = parts_of_words(string_of(message, "content", place), turn.role);
      }
      turns.push_back(std::move(turn));
    }
    return turns;
  }

  // A text is a message of `role`.
  std::vector<Turn> said(const Json& object, const char* key, const char* role) {
    const auto member = object.find(key);
    if (member == object.end()) fail("expected `" + std::string(key) + "`");
    if (!member->is_string()) return messages(*member, key);
    return {{role, parts_of_words(member->get<std::string>(), role)}};
  }

  void preference(const Json& object) {
    names_of(object);
    std::vector<Turn> prompt;
    if (object.contains("prompt")) prompt = said(object, "prompt", "user");
    std::vector<Turn> chosen = said(object, "chosen", "assistant");
    const std::size_t pictures = used_;
    if (prompt.empty()) used_ = used_clips_ = 0;  // both begin with the same prompt
    const std::size_t own = row_.pictures.size(), clips = row_.clips.size();
    std::vector<Turn> rejected = said(object, "rejected", "assistant");
    if (prompt.empty()) {
      row_.pictures.resize(own);
      row_.clips.resize(clips);
      used_ = std::max(used_, pictures);
      renumber(rejected, own, clips);
      split_prompt(prompt, chosen, rejected);
    }
    const auto replies = [](const std::vector<Turn>& turns) {
      return !turns.empty() && turns[0].role == "assistant";
    };
    if (prompt.empty() || prompt.back().role != "user" || !replies(chosen) || !replies(rejected)) {
      fail("expected a prompt of the user and two replies to it");
    }
    show_left(prompt);
    row_.sample.prompt_turns = static_cast<std::int64_t>(prompt.size());
    row_.sample.turns = std::move(prompt);
    row_.sample.turns.insert(row_.sample.turns.end(), chosen.begin(), chosen.end());
    row_.sample.rejected = std::move(rejected);
    expect_all_used();
  }

  // Pictures of the same prompt read a second time are the first ones again.
  static void renumber(std::vector<Turn>& turns, std::size_t pictures, std::size_t clips) {
    for (Turn& turn : turns) {
      for (Part& part : turn.parts) {
        const auto own = static_cast<std::int64_t>(part.kind == PartKind::clip ? clips : pictures);
        if (part.kind != PartKind::text && part.index >= own) part.index -= own;
      }
    }
  }

  static void split_prompt(std::vector<Turn>& prompt, std::vector<Turn>& chosen,
                           std::vector<Turn>& rejected) {
    std::size_t same = 0;
    while (same < chosen.size() && same < rejected.size() && chosen[same] == rejected[same]) ++same;
    const auto end = static_cast<std::ptrdiff_t>(same);
    prompt.assign(chosen.begin(), chosen.begin() + end);
    chosen.erase(chosen.begin(), chosen.begin() + end);
    rejected.erase(rejected.begin(), rejected.begin() + end);
  }

  // Pictures without any tag stand before the first question.
  void show_left(std::vector<Turn>& prompt) {
    if (used_ > 0 || given_.empty()) return;
    const auto first = std::find_if(prompt.begin(), prompt.end(),
                                    [](const Turn& turn) { return turn.role == "user"; });
    std::vector<Part> shown;
    while (used_ < given_.size()) shown.push_back(text::picture_part(next_given()));
    first->parts.insert(first->parts.begin(), shown.begin(), shown.end());
  }

  void document(const Json& object) {
    const auto texts = object.find("texts"), images = object.find("images");
    if (!texts->is_array() || images == object.end() || !images->is_array() ||
        images->size() != texts->size()) {
      fail("expected lists `texts` and `images` of one length");
    }
    Turn told{"assistant", {}};
    for (std::size_t i = 0; i < texts->size(); ++i) {
      const Json &words = (*texts)[i], &image = (*images)[i];
      if (!words.is_null() && !words.is_string()) {
        fail("expected texts or null in `texts`; got " + in_quotes(words));
      }
      const bool says = words.is_string() && !words.get_ref<const std::string&>().empty();
      if (!image.is_null() && says) {  // which of them comes first is not said
        fail("expected a text or a picture in each place of a document; place " +
             std::to_string(i + 1) + " has both");
      }
      if (!image.is_null()) {
        told.parts.push_back(text::picture_part(picture(name_of(image, "images"))));
      } else if (says) {
        told.parts.push_back(text::text_part(words.get<std::string>()));
      }
    }
    if (told.parts.empty()) fail("expected texts; got none");
    row_.sample.turns = {{"user", {}}, std::move(told)};
  }

  void system_of(const Json& object) {
    const auto system = object.find("system");
    if (system == object.end() || !system->is_string()) return;
    if (!row_.sample.turns.empty() && row_.sample.turns[0].role == "system") return;
    row_.sample.turns.insert(row_.sample.turns.begin(),
                             {"system", {text::text_part(system->get<std::string>())}});
    if (!row_.sample.rejected.empty()) ++row_.sample.prompt_turns;
  }

  std::string where_;
  DialogueRow row_{};
  std::vector<std::string> given_{}, given_clips_{};
  std::size_t used_ = 0, used_clips_ = 0;
};

}  // namespace

DialogueRow dialogue_row(const std::string& text, const std::string& where) {
  try {
    DialogueRow row = RowReader(where).row(parse_json(text, where, 32));
    row.sample.id = where;
    return row;
  } catch (const Json::exception& error) {  // a member of another type than expected
    throw Error(ErrorKind::data, std::string("[dialogue] ") + error.what(), where);
  }
}

}  // namespace tandem::data
