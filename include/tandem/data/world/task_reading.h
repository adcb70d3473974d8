#pragma once
// The texts of tasks.h read back and answered from scenes: the oracle of the fairness tests. It
// knows the words alone, not how a sample was made. nullopt for a text that it cannot read, or that
// asks for something that is not there.

#include <optional>
#include <string>
#include <string_view>

#include "tandem/data/world/scene.h"

namespace tandem::data::world {

std::optional<std::string> answer_question(std::string_view question, const Scene& scene);
std::optional<bool> judge_sentence(std::string_view sentence, const Scene& left,
                                   const Scene& right);
// 0 contradiction, 1 neutral, 2 entailment.
std::optional<int> judge_hypothesis(std::string_view hypothesis, const Scene& scene);
// The number of the one object that the expression means.
std::optional<int> find_object(std::string_view expression, const Scene& scene);

}  // namespace tandem::data::world
