#pragma once
// Chat templates: how each system writes a dialogue down, and which of it is learned.
//
// A template turns a dialogue into pieces, in order: texts, marks (single tokens where the
// vocabulary has them: </s>, <|im_end|>), places of pictures. Each piece says whether its tokens
// are supervised. models/dialogue.h makes ids of them piece by piece, so that labels follow from
// the pieces and never from lengths of strings.
//
//   plain     pictures, reply, "\n"; what the user says is dropped   LLaVA, first stage
//   v0        ### Human: .. ### Assistant: ..                        LLaVA
//   v1        USER: .. ASSISTANT: .. </s>                            LLaVA-1.5; llava_v1: its first
//                                                                    release (another system text)
//   llama_2   <s>[INST] .. [/INST] .. </s>                           LLaVA on LLaMA-2
//   mpt       <|im_start|>user .. <|im_end|> without line breaks     LLaVA on MPT
//   chatml    <|im_start|>user .. <|im_end|> and "\n"                Qwen2-VL, Qwen2.5-VL
//   qwen_vl   the same with pictures numbered; the marks of every    Qwen-VL
//             turn are learned too; each piece is encoded alone
//   continued pictures and words as they are, the reply right behind   pre-training of Qwen-VL
//             them, <|endoftext|>
// Sources: llava/conversation.py and llava/train/train.py (c121f04), Qwen-VL's finetune.py,
// qwen-vl-finetune's data_processor.py and the Jinja templates of the hub. Where LLaVA's arithmetic
// on lengths slips (a reply that contains " ASSISTANT: ", v0 with pictures, mpt), ours does not.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tandem/text/turn.h"

namespace tandem::text {

struct ChatPiece {
  PartKind kind = PartKind::text;
  std::string text{};
  std::int64_t index = 0;  // of a picture or clip
  bool supervised = false;
  bool mark = false;  // a special token's text
  VisionWish wish{};
};

struct ChatTemplate {
  std::string name{};
  std::string system{};   // where the dialogue says none
  std::string stop{};     // ends a reply: a mark, or the text that follows it
  bool begins = false;    // with the begin mark of the tokenizer, if it has one
  bool separate = false;  // every piece is encoded alone, also where two texts meet
};

struct ChatOptions {
  std::optional<std::string> system{};  // instead of the template's
  // Replies before this turn are part of the prompt (preferences): not supervised.
  std::int64_t supervised_from = 0;
  bool open = false;             // ends where the assistant is to speak
  bool number_pictures = false;  // chatml: "Picture 1: ", "Video 1: " before each
};

std::vector<std::string> chat_templates();
// Throws Error(config) with the names that there are.
const ChatTemplate& chat_template(std::string_view name);

// Throws Error(data): a role that is not known, a reply where the user should speak, no turns;
// `where` names the sample.
std::vector<ChatPiece> chat_pieces(const ChatTemplate& chat, std::span<const Turn> turns,
                                   const ChatOptions& options, const std::string& where);

// What the templates write around a question and an answer of "?" ("USER: ? ", "assistant\n?",
// ...), each once: for a vocabulary that is trained on dialogues, which else would spell these
// words out.
std::vector<std::string> chat_phrases();

}  // namespace tandem::text
