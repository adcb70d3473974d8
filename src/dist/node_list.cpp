#include "dist/node_list.h"

#include <charconv>
#include <sstream>

#include "tandem/base/error.h"

namespace tandem::dist {
namespace {

constexpr int most_nodes = 1 << 20;

int number(std::string_view text, const std::string& whole) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most_nodes) {
    throw Error(ErrorKind::config,
                "[dist] expected Slurm's tasks per node (`4(x2),3`); got '" + whole + "'");
  }
  return value;
}

}  // namespace

std::string first_host(const std::string& list) {
  std::string host;
  for (std::size_t i = 0; i < list.size() && list[i] != ','; ++i) {
    if (list[i] != '[') {
      host += list[i];
      continue;
    }
    const std::size_t close = list.find(']', i);
    const std::size_t end = list.find_first_of("-,]", i);
    if (close == std::string::npos || end == i + 1) {
      throw Error(ErrorKind::config,
                  "[dist] expected Slurm's list of nodes (`node[1-4]`); got '" + list + "'");
    }
    host += list.substr(i + 1, end - i - 1);
    i = close;
  }
  return host;
}

std::vector<int> tasks_per_node(const std::string& text) {
  std::vector<int> tasks;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    const std::size_t times = item.find("(x");
    int nodes = 1;
    if (times != std::string::npos) {
      if (item.back() != ')') number("", text);
      nodes = number(std::string_view(item).substr(times + 2, item.size() - times - 3), text);
    }
    const int each = number(std::string_view(item).substr(0, times), text);
    if (tasks.size() + static_cast<std::size_t>(nodes) > most_nodes) number("", text);
    tasks.insert(tasks.end(), static_cast<std::size_t>(nodes), each);
  }
  return tasks;
}

}  // namespace tandem::dist
