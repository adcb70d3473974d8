#pragma once
// Slurm's short forms. Source: the manual pages of srun and scontrol ("hostlist",
// SLURM_TASKS_PER_NODE).

#include <string>
#include <vector>

namespace tandem::dist {

// "node[003-010,12],other" -> "node003". Throws Error(config) for a list that is broken.
std::string first_host(const std::string& list);

// Tasks of each node: "4(x2),3" -> 4, 4, 3. Throws Error(config).
std::vector<int> tasks_per_node(const std::string& text);

}  // namespace tandem::dist
