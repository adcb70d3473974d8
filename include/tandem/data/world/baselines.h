#pragma once
// What the figures of a model on the world stand between: an oracle that sees everything, and a bag
// of attributes that sees which occur but not what is bound to what. Reported beside every model.

#include <cstdint>
#include <string>
#include <vector>

#include "tandem/data/world/scene.h"

namespace tandem::data::world {

// Shares of 1; where several score alike, the share that drawing one of them would find.
struct RetrievalScores {
  double text_at_1 = 0, picture_at_1 = 0;  // the right text of a picture among kRetrievalSize, and
                                           // the right picture of a text
  double hard_text = 0, hard_picture = 0;  // the same within each group of the hard gallery (of 10)
};

inline constexpr std::int64_t kRetrievalSize = 500;  // the first samples of the test split

// Texts are those that evaluation reads: the first of each sample of `format: world`, `captions:
// full`. Of `rules` only seed and max_objects (at least 2) count.
//
// oracle: reads the caption and compares what it says with the scene.
RetrievalScores oracle_scores(const SceneRules& rules);
// bag of attributes: how many words for shapes, colours, sizes, textures, places and backgrounds
// the text shares with a full account of the scene, counted, less those that only one has.
RetrievalScores bag_of_attributes_scores(const SceneRules& rules);

struct WorldBaselines {
  RetrievalScores oracle{}, bag_of_attributes{};
};
WorldBaselines world_baselines(const SceneRules& rules = {});

// The same of a task beside captions, for each kind of question or sentence.
struct TaskBaseline {
  std::string task{}, kind{};  // "vqa", "count"
  std::int64_t samples = 0;    // of the test split
  double oracle = 0;           // reads the text and looks at the scene
  // Sees no picture: says what was right most often for the same text in training, or, for a text
  // that was not there, for the kind.
  double text_only = 0;
  double chance = 0;  // 0: there is no such number
};

// Fitted on the first `samples` of the training split, measured on as many of the test split. Of
// `rules` only seed and numbers of objects count.
std::vector<TaskBaseline> task_baselines(const SceneRules& rules, std::int64_t samples = 20'000);

}  // namespace tandem::data::world
