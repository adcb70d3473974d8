#include "tandem/text/chat.h"

#include <algorithm>
#include <set>
#include <utility>

#include "tandem/base/error.h"

namespace tandem::text {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  throw Error(ErrorKind::data, "[chat] " + what, where);
}

// Collects pieces; texts of one kind that meet are one.
class Pieces {
 public:
  explicit Pieces(bool separate) : separate_(separate) {}

  void text(const std::string& text, bool supervised) {
    if (text.empty()) return;
    ChatPiece* last = all_.empty() ? nullptr : &all_.back();
    if (!separate_ && last != nullptr && last->kind == PartKind::text && !last->mark &&
        last->supervised == supervised) {
      last->text += text;
      return;
    }
    ChatPiece piece;
    piece.text = text;
    piece.supervised = supervised;
    all_.push_back(std::move(piece));
  }

  void mark(const std::string& text, bool supervised) {
    ChatPiece piece;
    piece.text = text;
    piece.supervised = supervised;
    piece.mark = true;
    all_.push_back(std::move(piece));
  }

  // A picture or a clip.
  void place(const Part& part) {
    ChatPiece piece;
    piece.kind = part.kind;
    piece.index = part.index;
    piece.wish = part.wish;
    all_.push_back(std::move(piece));
  }

  void part(const Part& part, bool supervised) {
    if (part.kind == PartKind::text) return text(part.text, supervised);
    place(part);
  }

  void parts(const Turn& turn, bool supervised) {
    for (const Part& one : turn.parts) part(one, supervised);
  }

  std::vector<ChatPiece> take() { return std::move(all_); }

 private:
  bool separate_;
  std::vector<ChatPiece> all_{};
};

std::string stripped(const std::string& text) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::size_t first = 0, last = text.size();
  while (first < last && space(text[first])) ++first;
  while (last > first && space(text[last - 1])) --last;
  return text.substr(first, last - first);
}

bool shows(const Turn& turn) {
  return std::any_of(turn.parts.begin(), turn.parts.end(),
                     [](const Part& part) { return part.kind != PartKind::text; });
}

std::string words_of(const Turn& turn) {
  std::string words;
  for (const Part& part : turn.parts) words += part.text;
  return words;
}

// LLaVA's order: pictures first, a line each, then the words.
void pictures_first(Pieces& pieces, const Turn& turn, bool supervised) {
  if (!shows(turn)) return pieces.parts(turn, supervised);
  const std::string words = stripped(words_of(turn));
  bool first = true;
  for (const Part& part : turn.parts) {
    if (part.kind == PartKind::text) continue;
    if (!first) pieces.text("\n", supervised);
    pieces.place(part);
    first = false;
  }
  if (!words.empty()) pieces.text("\n" + words, supervised);
}

struct Dialogue {
  const ChatTemplate& chat;
  const ChatOptions& options;
  std::string system{};
  std::vector<Turn> turns{};  // without the system's
  std::int64_t first = 0;     // the number of turns[0] in the whole

  bool learned(std::size_t turn) const {
    return static_cast<std::int64_t>(turn) + first >= options.supervised_from;
  }
};

bool replies(const Turn& turn) { return turn.role == "assistant"; }

void write_plain(Pieces& pieces, const Dialogue& dialogue) {
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    const bool learned = dialogue.learned(i);
    if (replies(turn)) {
      pieces.parts(turn, learned);
      pieces.text("\n", learned);
      continue;
    }
    for (const Part& part : turn.parts) {
      if (part.kind != PartKind::text) pieces.place(part);
    }
  }
}

// The signs between the turns are learned: with them the model stops.
void write_v0(Pieces& pieces, const Dialogue& dialogue) {
  pieces.text(dialogue.system + "\n\n", false);
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const bool reply = replies(dialogue.turns[i]), learned = dialogue.learned(i);
    pieces.text("###", learned);
    pieces.text(reply ? " Assistant: " : " Human: ", reply && learned);
    pictures_first(pieces, dialogue.turns[i], reply && learned);
    pieces.text("\n", reply && learned);
  }
  pieces.text(dialogue.options.open ? "### Assistant:" : "### ", !dialogue.options.open);
}

void write_v1(Pieces& pieces, const Dialogue& dialogue) {
  if (!dialogue.system.empty()) pieces.text(dialogue.system + " ", false);
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    const bool learned = dialogue.learned(i);
    if (replies(turn)) {
      pieces.text("ASSISTANT:", false);
      pieces.text(" ", learned);
      pictures_first(pieces, turn, learned);
      pieces.mark("</s>", learned);
    } else {
      pieces.text("USER: ", false);
      pictures_first(pieces, turn, false);
      pieces.text(" ", false);
    }
  }
  if (dialogue.options.open) pieces.text("ASSISTANT:", false);
}

void write_llama_2(Pieces& pieces, const Dialogue& dialogue) {
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    const bool learned = dialogue.learned(i);
    if (replies(turn)) {
      pieces.text(" ", learned);
      pictures_first(pieces, turn, learned);
      pieces.text(" ", learned);
      pieces.mark("</s>", learned);
      continue;
    }
    // The first begin mark is the tokenizer's own.
    if (i > 0) pieces.mark("<s>", false);
    pieces.text("[INST] ", false);
    if (i == 0 && !dialogue.system.empty()) {
      pieces.text("<<SYS>>\n" + dialogue.system + "\n<</SYS>>\n\n", false);
    }
    pictures_first(pieces, turn, false);
    pieces.text(" [/INST]", false);
  }
}

void write_mpt(Pieces& pieces, const Dialogue& dialogue) {
  pieces.mark("<|im_start|>", false);
  pieces.text("system\n" + dialogue.system, false);
  pieces.mark("<|im_end|>", false);
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    const bool learned = replies(turn) && dialogue.learned(i);
    pieces.mark("<|im_start|>", false);
    pieces.text(turn.role + "\n", false);
    pictures_first(pieces, turn, learned);
    pieces.mark("<|im_end|>", learned);
  }
  if (!dialogue.options.open) return;
  pieces.mark("<|im_start|>", false);
  pieces.text("assistant\n", false);
}

struct Counted {
  std::int64_t pictures = 0, clips = 0;
};

void chatml_turn(Pieces& pieces, const Turn& turn, bool learned, Counted* counted) {
  pieces.mark("<|im_start|>", false);
  pieces.text(turn.role + "\n", false);
  for (const Part& part : turn.parts) {
    if (counted != nullptr && part.kind == PartKind::picture) {
      pieces.text("Picture " + std::to_string(++counted->pictures) + ": ", false);
    } else if (counted != nullptr && part.kind == PartKind::clip) {
      pieces.text("Video " + std::to_string(++counted->clips) + ": ", false);
    }
    if (part.tagged) {
      pieces.text(stripped(part.text), learned);
    } else {
      pieces.part(part, learned);
    }
  }
  pieces.mark("<|im_end|>", learned);
  pieces.text("\n", learned);
}

void write_chatml(Pieces& pieces, const Dialogue& dialogue) {
  Counted counted;
  Counted* numbered = dialogue.options.number_pictures ? &counted : nullptr;
  if (!dialogue.system.empty()) {
    chatml_turn(pieces, {"system", {text_part(dialogue.system)}}, false, nullptr);
  }
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    chatml_turn(pieces, turn, replies(turn) && dialogue.learned(i), numbered);
  }
  if (!dialogue.options.open) return;
  pieces.mark("<|im_start|>", false);
  pieces.text("assistant\n", false);
}

// "... Picture 3: " has its number already.
bool ends_numbered(const std::string& text) {
  if (!text.ends_with(": ")) return false;
  std::size_t at = text.size() - 2;
  const std::size_t end = at;
  while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9') --at;
  return at < end && std::string_view(text).substr(0, at).ends_with("Picture ");
}

void qwen_vl_parts(Pieces& pieces, const Turn& turn, bool learned, std::int64_t& pictures) {
  std::string words;   // since the last picture
  bool after = false;  // a picture, whose line is still open
  for (const Part& part : turn.parts) {
    if (part.kind == PartKind::text) {
      if (after && !part.text.starts_with('\n')) words += '\n';
      words += part.text;
      after = false;
      continue;
    }
    if (after) words += '\n';
    ++pictures;
    if (!ends_numbered(words)) words += "Picture " + std::to_string(pictures) + ": ";
    pieces.text(std::exchange(words, {}), learned);
    pieces.place(part);
    after = true;
  }
  pieces.text(after ? words + "\n" : words, learned);
}

void qwen_vl_turn(Pieces& pieces, const Turn& turn, bool reply, bool learned,
                  std::int64_t& pictures) {
  pieces.mark("<|im_start|>", learned);
  pieces.text(turn.role, false);
  pieces.text("\n", false);
  qwen_vl_parts(pieces, turn, reply && learned, pictures);
  pieces.mark("<|im_end|>", learned);
  pieces.text("\n", learned);
}

void write_qwen_vl(Pieces& pieces, const Dialogue& dialogue) {
  std::int64_t pictures = 0;
  qwen_vl_turn(pieces, {"system", {text_part(dialogue.system)}}, false,
               dialogue.options.supervised_from == 0, pictures);
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    qwen_vl_turn(pieces, turn, replies(turn), dialogue.learned(i), pictures);
  }
  if (!dialogue.options.open) return;
  pieces.mark("<|im_start|>", false);
  pieces.text("assistant", false);
  pieces.text("\n", false);
}

// What is shown stands as it is, the reply right behind it.
void write_continued(Pieces& pieces, const Dialogue& dialogue) {
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const Turn& turn = dialogue.turns[i];
    const bool learned = replies(turn) && dialogue.learned(i);
    pieces.parts(turn, learned);
    if (replies(turn)) pieces.mark("<|endoftext|>", learned);
  }
}

struct Style {
  ChatTemplate chat;
  void (*write)(Pieces&, const Dialogue&);
  bool turns_alternate = true;
};

// What follows "A chat between a curious ".
std::string vicuna(const std::string& who) {
  return "A chat between a curious " + who +
         " and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
         "polite answers to the " +
         who + "'s questions.";
}

const std::vector<Style>& styles() {
  static const std::vector<Style> all{
      {{"plain", "", "\n", true, false}, write_plain, false},
      {{"v0", vicuna("human"), "###", true, false}, write_v0},
      {{"v1", vicuna("user"), "</s>", true, false}, write_v1},
      {{"llava_v1", vicuna("human"), "</s>", true, false}, write_v1},
      {{"llama_2",
        "You are a helpful language and vision assistant. You are able to understand the visual "
        "content that the user provides, and assist the user with a variety of tasks using natural "
        "language.",
        "</s>", true, false},
       write_llama_2},
      {{"mpt",
        "A conversation between a user and an LLM-based AI assistant. The assistant gives helpful "
        "and honest answers.",
        "<|im_end|>", true, false},
       write_mpt},
      {{"chatml", "You are a helpful assistant.", "<|im_end|>", false, false}, write_chatml, false},
      {{"qwen_vl", "You are a helpful assistant.", "<|im_end|>", false, true}, write_qwen_vl},
      {{"continued", "", "<|endoftext|>", false, false}, write_continued, false},
  };
  return all;
}

const Style& style_of(std::string_view name) {
  const auto it = std::find_if(styles().begin(), styles().end(),
                               [&](const Style& style) { return style.chat.name == name; });
  if (it != styles().end()) return *it;
  std::string known;
  for (const std::string& one : chat_templates()) known += (known.empty() ? "" : ", ") + one;
  throw Error(ErrorKind::config,
              "[chat] expected a template of {" + known + "}; got '" + std::string(name) + "'", "",
              "templates in Jinja are not read: name the one that says the same");
}

void check_roles(const Dialogue& dialogue, bool alternate, const std::string& where) {
  if (dialogue.turns.empty()) refuse("expected turns; got none", where);
  for (std::size_t i = 0; i < dialogue.turns.size(); ++i) {
    const std::string& role = dialogue.turns[i].role;
    if (role != "user" && role != "assistant") {
      refuse("expected turns of user and assistant; got one of '" + role + "'", where);
    }
    if (alternate && (role == "assistant") != (i % 2 == 1)) {
      refuse(
          "expected user and assistant in turns; turn " + std::to_string(i + 1) + " is of " + role,
          where);
    }
  }
}

}  // namespace

std::vector<std::string> chat_templates() {
  std::vector<std::string> names;
  for (const Style& style : styles()) names.push_back(style.chat.name);
  return names;
}

std::vector<std::string> chat_phrases() {
  const std::vector<Turn> turns{{"user", {text_part("?")}}, {"assistant", {text_part("?")}}};
  ChatOptions options;
  options.system = "?";
  std::set<std::string> phrases;
  for (const Style& style : styles()) {
    for (const ChatPiece& piece : chat_pieces(style.chat, turns, options, style.chat.name)) {
      if (piece.kind == PartKind::text && !piece.mark) phrases.insert(piece.text);
    }
  }
  return {phrases.begin(), phrases.end()};
}

const ChatTemplate& chat_template(std::string_view name) { return style_of(name).chat; }

std::vector<ChatPiece> chat_pieces(const ChatTemplate& chat, std::span<const Turn> turns,
                                   const ChatOptions& options, const std::string& where) {
  const Style& style = style_of(chat.name);
  Dialogue dialogue{chat, options, options.system.value_or(chat.system)};
  if (!turns.empty() && turns[0].role == "system") {
    if (shows(turns[0])) refuse("expected a text from the system; got a picture", where);
    dialogue.system = words_of(turns[0]);
    dialogue.first = 1;
    turns = turns.subspan(1);
  }
  dialogue.turns.assign(turns.begin(), turns.end());
  check_roles(dialogue, style.turns_alternate, where);
  if (options.open && replies(dialogue.turns.back())) {
    refuse("expected the user's turn at the end; got a reply", where);
  }
  Pieces pieces(chat.separate);
  style.write(pieces, dialogue);
  return pieces.take();
}

}  // namespace tandem::text
