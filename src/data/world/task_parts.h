#pragma once
// The writers of tasks.h, one a task; private to the world.

#include "making.h"
#include "tandem/data/world/tasks.h"

namespace tandem::data::world {

TaskSample closed_question(const SceneRules& rules, Key key, std::int64_t index);
TaskSample closed_questions(const SceneRules& rules, Key key, std::int64_t index);
TaskSample read_questions(const SceneRules& rules, Key key, std::int64_t index);
TaskSample open_question(const SceneRules& rules, Key key, std::int64_t index);
TaskSample sentence_of_two(const SceneRules& rules, Key key, std::int64_t index);
TaskSample hypothesis(const SceneRules& rules, Key key, std::int64_t index);
TaskSample dialogue(const SceneRules& rules, Key key, std::int64_t index);
TaskSample preference(const SceneRules& rules, Key key, std::int64_t index);
TaskSample page_of_words(const SceneRules& rules, Key key, std::int64_t index);
TaskSample moving(const SceneRules& rules, Key key, std::int64_t index,
                  const std::vector<std::int64_t>& rates);
TaskSample screen_dialogue(const SceneRules& rules, Key key, std::int64_t index);
TaskSample screen_target(const SceneRules& rules, Key key, std::int64_t index, int side);
TaskSample several_pictures(const SceneRules& rules, Key key, std::int64_t index);
TaskSample expression(const SceneRules& rules, Key key, std::int64_t index, int side);

// Seconds at which something starts or stops: so many of them, from this one on (stops: the next).
inline constexpr int kFirstStart = 1, kClipAnswers = 5;

// Question and answer, as a turn of the user and one of the assistant. The first question of a
// dialogue shows the picture; it and its answer are the sample's own as well, which evaluation
// asks.
void begin_dialogue(TaskSample& made, const std::string& asked, const std::string& answer);
void go_on(TaskSample& made, const std::string& asked, const std::string& answer);

// Counts that questions and sentences are about: 0 to this.
int most_counted(const SceneRules& rules);

}  // namespace tandem::data::world
