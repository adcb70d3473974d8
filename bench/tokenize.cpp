// bench_tokenize TOKENIZER TEXTS THREADS SECONDS: encodes the lines of a file again and again, the
// threads taking lines in turn, until SECONDS have passed at the end of a pass. Prints: seconds of
// the fastest pass, bytes, ids, CPU seconds of a pass. The other side is bench/tokenizers_speed.py.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tandem/text/tokenizer.h"

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<std::string> lines_of(const char* path) {
  std::vector<std::string> lines;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::size_t encode_all(const tandem::text::Tokenizer& tokenizer,
                       const std::vector<std::string>& lines, int threads) {
  constexpr std::size_t kBlock = 64;
  std::atomic<std::size_t> next{0}, total{0};
  const auto work = [&] {
    std::size_t count = 0;
    for (std::size_t at; (at = next.fetch_add(kBlock)) < lines.size();) {
      for (std::size_t i = at; i < std::min(at + kBlock, lines.size()); ++i) {
        count += tokenizer.encode(lines[i]).size();
      }
    }
    total += count;
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return total;
}

int run(int argc, char** argv) {
  if (argc != 5) return 64;
  const tandem::text::Tokenizer tokenizer = tandem::text::load_tokenizer(argv[1]);
  const std::vector<std::string> lines = lines_of(argv[2]);
  const int threads = std::atoi(argv[3]);
  const double limit = std::atof(argv[4]);
  std::size_t bytes = 0, ids = 0;
  for (const std::string& line : lines) bytes += line.size();
  double best = 1e30;
  int passes = 0;
  const std::clock_t cpu = std::clock();
  for (const auto begin = Clock::now(); best > 1e29 || since(begin) < limit;) {
    const auto pass = Clock::now();
    ++passes;
    ids = encode_all(tokenizer, lines, threads);
    best = std::min(best, since(pass));
  }
  const double used = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  std::printf("%.6f %zu %zu %.6f\n", best, bytes, ids, used / passes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_tokenize: %s\n", error.what());
    return 65;
  }
}
