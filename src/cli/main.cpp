// tandem: one binary, one verb. Here errors become exit codes (DESIGN 5) and a line on stderr.

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include "cli/verbs.h"
#include "tandem/base/error.h"

namespace {

// A training step frees and takes the same large blocks again and again: glibc would give each back
// to the kernel, and every page of it would be faulted in anew.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  mallopt(M_TOP_PAD, 64 << 20);
}

int run(int argc, char** argv) {
  CLI::App app{"Tandem trains vision-language models from one YAML file", "tandem"};
  app.require_subcommand(1);
  tandem::cli::Action action;
  const tandem::cli::Choose choose = [&](tandem::cli::Action chosen) {
    action = std::move(chosen);
  };
  tandem::cli::add_train(app, choose, {argv, argv + argc});
  tandem::cli::add_check(app, choose);
  tandem::cli::add_config(app, choose);
  tandem::cli::add_weights(app, choose);
  tandem::cli::add_data(app, choose);
  tandem::cli::add_recipes(app, choose);
  tandem::cli::add_report(app, choose);
  tandem::cli::add_eval(app, choose, {argv, argv + argc});
  tandem::cli::add_embed(app, choose, {argv, argv + argc});
  tandem::cli::add_search(app, choose);
  tandem::cli::add_generate(app, choose);
  tandem::cli::add_chat(app, choose);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : tandem::exit_code(tandem::ErrorKind::config);
  }
  return action();
}

int fail(int code, const char* text) {
  std::fprintf(stderr, "tandem: %s\n", text);
  return code;
}

int code_of(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const tandem::Error& error) {
    return fail(tandem::exit_code(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return fail(tandem::exit_code(tandem::ErrorKind::internal), "out of memory");
  } catch (const std::exception& error) {
    return fail(tandem::exit_code(tandem::ErrorKind::internal), error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  const int code = code_of(argc, argv);
  // Everything of ours is closed by now. LibTorch's destructors would take thousands of operators
  // out of its tables one by one, as long as it took to put them in: a tenth of a second.
  std::cout.flush();
  std::fflush(nullptr);
  std::_Exit(code);
}
