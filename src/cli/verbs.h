#pragma once
// The verbs of the command line: each adds its options to the parser and says what to run.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tandem/config/run_config.h"
#include "tandem/jobs/model_files.h"

namespace tandem::cli {

using Action = std::function<int()>;  // the exit code; errors are thrown
using Choose = std::function<void(Action)>;

void add_train(CLI::App& app, const Choose& choose, const std::vector<std::string>& command);
void add_check(CLI::App& app, const Choose& choose);
void add_config(CLI::App& app, const Choose& choose);
void add_weights(CLI::App& app, const Choose& choose);  // import, export, verify
void add_data(CLI::App& app, const Choose& choose);
void add_inspect(CLI::App& data, const Choose& choose);       // of `data`
void add_instruct(CLI::App& data, const Choose& choose);      // of `data`
void add_make_list(CLI::App& make, const Choose& choose);     // of `data make`
void add_make_answers(CLI::App& make, const Choose& choose);  // of `data make`
void add_recipes(CLI::App& app, const Choose& choose);
void add_report(CLI::App& app, const Choose& choose);
void add_eval(CLI::App& app, const Choose& choose, const std::vector<std::string>& command);
void add_embed(CLI::App& app, const Choose& choose, const std::vector<std::string>& command);
void add_search(CLI::App& app, const Choose& choose);
void add_generate(CLI::App& app, const Choose& choose);
void add_chat(CLI::App& app, const Choose& choose);

// --ema and --best, of the verbs that take a run's weights.
void add_weight_choice(CLI::App& verb, jobs::WeightChoice& choice);

// The families, formats and tasks that a config may name.
config::Tables tables(bool may_lack = false);

}  // namespace tandem::cli
