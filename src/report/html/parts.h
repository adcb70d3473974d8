#pragma once
// The parts of the page that are no charts.

#include <string>
#include <vector>

#include "tandem/report/page.h"

namespace tandem::report::html {

// A table of the runs: where they stand, how fast they went, what they waited for.
std::string overview(const std::vector<RunData>& runs);
std::string stage_tracks(const std::vector<RunData>& runs);
// Of each stage, the samples from each source; empty when no run says.
std::string data_seen(const std::vector<RunData>& runs);
std::string predictions(const std::vector<RunData>& runs);
// Several runs: the keys that differ. One: all of its keys.
std::string configs(const std::vector<RunData>& runs);
// Head, styles and script around the body.
std::string document(const std::string& title, const std::string& body);

}  // namespace tandem::report::html
