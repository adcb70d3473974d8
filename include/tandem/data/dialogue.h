#pragma once
// Dialogues about pictures, as they are released: a JSON list or JSON Lines, one object a sample
// (or lists of them: packed samples count one by one). What an object is, its members say:
//
//   {"id", "image": NAME or [NAMES], "video": the same, "conversations": [{"from": "human",
//    "value": "<image>\n..."}, {"from": "gpt", "value"}]}         LLaVA, Qwen-VL's finetuning,
//                                     ShareGPT; <img>NAME</img> in a text is a picture too
//                                     (Qwen-VL)
//   {"messages": [{"role", "content": text or [{"type": "text", "text"}, {"type": "image", "image":
//    NAME, "min_pixels", ..}, {"type": "video", "video": NAME or [FRAMES], "fps", ..}]}],
//    "images": [NAMES]}                                           OpenAI's shape, Qwen2-VL
//   {"prompt": text or [messages], "chosen", "rejected", "images"}   preferences (TRL)
//   {"texts": [text or null], "images": [NAME or null]}           a document, in order (OBELICS)
//
// A picture is a name below the folder, file://, or data:image/..;base64,..; addresses of the web
// are refused. As many tags as pictures, or the sample is bad; tags in replies are text. What is
// wrong with an object makes its sample a bad one, named FILE:LINE (and [NUMBER] in a list).
// The file is scanned once; sixteen bytes an object are kept.

#include <memory>
#include <string>

#include "tandem/base/fields.h"
#include "tandem/data/source.h"

namespace tandem::data {

struct DialogueSettings final : Settings {
  std::string path{};
  std::string pictures{};  // the folder that names start from; empty: the file's own

  void fields(FieldVisitor& visitor) override;
};

// Throws Error(data): no file, no objects in it.
std::unique_ptr<Source> open_dialogue(const DialogueSettings& settings);

}  // namespace tandem::data
