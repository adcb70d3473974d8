#pragma once
// Tasks whose answer the model writes, or finds among many: captions and open questions.

#include <string>
#include <string_view>

#include "tandem/eval/task.h"

namespace tandem::eval {

// Pictures of the source told by the model (Abilities::generate), against the sample's texts: bleu1
// to bleu4, rouge_l and cider as in metrics/captions.h, words by caption_words(), and words, the
// mean length. Samples without a text are left out of the scores.
Metrics caption(const Input& input);

// Questions about a picture. input.answers: closed (labels.h); generated: what the model writes;
// ranked: the best of input.candidates by Abilities::rank. accuracy: the official soft one where
// the source knows how many people gave each answer, else the score of the sample's answer that is
// the same after normalisation; also of each kind of question. exact: the share of answers that are
// the sample's best one. relaxed (ChartQA: numbers within 5 %) and anls (DocVQA: by edits) against
// all answers with a score above 0 (metrics/replies.h). Closed ones have the accuracy alone.
Metrics vqa(const Input& input);

// A caption's words as pycocoevalcap's tokenizer leaves them, with single spaces: lower case,
// without punctuation, clitics apart ("the dog's" is "the dog 's"). Of English words; abbreviations
// lose their last full stop.
std::string caption_words(std::string_view text);

}  // namespace tandem::eval
