#pragma once
// Captions against references, as pycocoevalcap 1.2 scores them: BLEU (Papineni et al. 2002),
// ROUGE-L (Lin 2004) and CIDEr-D (Vedantam et al., arXiv:1411.5726). Texts are tokenised already:
// words with single spaces between them.

#include <array>
#include <string>
#include <vector>

namespace tandem::eval {

struct Captioned {  // a picture
  std::string caption{};
  std::vector<std::string> references{};  // at least one
};

struct CaptionScores {
  std::array<double, 4> bleu{};                    // of all pictures together: BLEU-1 to BLEU-4
  double rouge_l = 0, cider = 0;                   // means over the pictures
  std::vector<std::array<double, 4>> bleu_each{};  // of each picture alone
  std::vector<double> rouge_l_each{}, cider_each{};
};

// CIDEr weighs n-grams by the references of all pictures given: it is 0 for a single picture.
// Throws Error(data) without pictures, or for one without references.
CaptionScores caption_scores(const std::vector<Captioned>& pictures);

}  // namespace tandem::eval
