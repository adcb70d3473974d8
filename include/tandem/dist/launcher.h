#pragma once
// Starts the ranks of a job on this machine and looks after them. No torch.
//
// Every rank is a child with torchrun's variables (RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE,
// MASTER_ADDR, MASTER_PORT), in a process group of its own, and dies with the launcher. The
// launcher binds the master port and hands the socket to rank 0, so that nobody can take it in
// between. Non-goals: several machines (torchrun, Slurm), restarting.

#include <chrono>
#include <string>
#include <vector>

namespace tandem::dist {

struct LaunchOptions {
  // After a lost rank the others have so long to leave before they are killed: more than the 8 s
  // after which one that hangs leaves by itself (mesh.h), and all are gone within 10 s.
  std::chrono::milliseconds grace{9'000};
  // The same after a rank that left with an error of its own, which it takes the others one
  // collective to notice.
  std::chrono::milliseconds patience{60'000};
};

// Runs `command` (a path, then its arguments) `processes` times and waits for all of them. SIGINT,
// SIGTERM and SIGHUP go on to all ranks; a second SIGINT kills them. Returns 0 when all did; 75
// when a rank was killed by a signal; else the first code of an error of a rank's own; else 75
// when one left with that. Rank 0 has our stdout and stderr, the others our stderr.
// To be called before this process has other threads. Throws Error(config) for less than one
// process, Error(io) when they cannot be started.
int launch(int processes, const std::vector<std::string>& command,
           const LaunchOptions& options = {});

// For a rank that launch() started and that leaves with an error: may it say so? No when another
// rank has told the same text, or when `text` only says that another one left (a consequence) and
// some rank has told its own error. So an error that all ranks meet is told once, and one that a
// single rank has by that rank. To be called before the mesh is left, which is how the others learn
// of it. True for a process without a launcher.
bool first_to_tell(const std::string& text, bool consequence);

}  // namespace tandem::dist
