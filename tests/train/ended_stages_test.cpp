#include "train/ended_stages.h"

#include <catch2/catch.hpp>

namespace ended_stages_test {

using tandem::train::changes_of_ended;

TEST_CASE("a later end of a stage that has ended is told, of one that has not is not") {
  const std::string before =
      "stages:\n- name: a\n  until: {steps: 6}\n  data: {batch: 4}\n- name: ab\n  until: {epochs: "
      "2}\n"
      "- name: c\n  until: {steps: 9}\n";
  const std::string now =
      "stages:\n- name: a\n  until: {steps: 12}\n  data: {batch: 8}\n"
      "- name: ab\n  until: {steps: 5}\n  stop: {metric: m}\n- name: c\n  until: {steps: 90}\n";
  CHECK(changes_of_ended(before, now, {"a", "ab"}) ==
        std::vector<std::string>{
            "stages.a.until.steps: 6 -> 12", "stages.ab.until.epochs: 2 -> (absent)",
            "stages.ab.until.steps: (absent) -> 5", "stages.ab.stop.metric: (absent) -> m"});
  CHECK(changes_of_ended(before, now, {}).empty());
  CHECK(changes_of_ended(before, before, {"a", "ab", "c"}).empty());
  CHECK(changes_of_ended("", now, {"a"}).empty());  // a new run
}

}  // namespace ended_stages_test
