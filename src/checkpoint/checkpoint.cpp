#include "tandem/checkpoint/checkpoint.h"

#include <algorithm>
#include <set>

#include "checkpoint/manifest.h"
#include "checkpoint/names.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"

namespace tandem::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* model_file = "model.safetensors";
constexpr const char* optimizer_file = "optimizer.safetensors";
constexpr const char* state_file = "state.json";
constexpr std::string_view tensors_ending = ".safetensors";
constexpr std::int64_t max_text_bytes = std::int64_t{256} << 20;  // of manifest, state, extra files

const std::map<std::string, std::string>& model_metadata() {
  static const std::map<std::string, std::string> metadata{{"format", "pt"}};
  return metadata;
}

void check_names(const State& state) {
  std::set<std::string> names{model_file, optimizer_file, state_file, manifest_name};
  const auto take = [&](const std::string& name) {
    if (!is_plain_name(name) || !names.insert(name).second) {
      throw Error(ErrorKind::internal, "[checkpoint] a file name that is taken or no plain name",
                  name);
    }
  };
  for (const auto& [name, text] : state.files) take(name);
  for (const auto& [name, tensors] : state.more) {
    take(name);
    TANDEM_CHECK(name.ends_with(tensors_ending), "[checkpoint] tensors in a file of another kind");
  }
  if (state.step < 0) throw Error(ErrorKind::internal, "[checkpoint] a step below 0");
}

FileFacts finish(FileWriter& file) {
  file.finish();
  return {file.path().filename().string(), file.bytes(), file.hash()};
}

FileFacts write_tensors(const fs::path& path, const NamedTensors& tensors,
                        const std::map<std::string, std::string>& metadata) {
  FileWriter file(path, safetensors_size(tensors, metadata));
  write_safetensors(file, tensors, metadata);
  return finish(file);
}

FileFacts write_text(const fs::path& path, const std::string& text) {
  FileWriter file(path, static_cast<std::int64_t>(text.size()));
  file.write(text);
  return finish(file);
}

// All files durable, and their names durable in it.
Manifest write_all(const fs::path& into, const State& state) {
  Manifest manifest;
  manifest.step = state.step;
  manifest.files.push_back(write_tensors(into / model_file, state.model, model_metadata()));
  manifest.files.push_back(write_tensors(into / optimizer_file, state.optimizer, {}));
  std::vector<std::pair<std::string, const NamedTensors*>> index{
      {model_file, &state.model}, {optimizer_file, &state.optimizer}};
  for (const auto& [name, tensors] : state.more) {
    manifest.files.push_back(write_tensors(into / name, tensors, model_metadata()));
    index.emplace_back(name, &tensors);
  }
  manifest.files.push_back(write_text(into / state_file, state.json));
  for (const auto& [name, text] : state.files) {
    manifest.files.push_back(write_text(into / name, text));
  }
  write_text(into / manifest_name, manifest_text(manifest, index));
  fsync_directory(into);
  return manifest;
}

[[noreturn]] void broken(const std::string& what, const fs::path& path) {
  throw Error(ErrorKind::data, "[checkpoint] " + what, path.string());
}

// Missing files and other sizes: all that is seen without reading the data.
Manifest check_sizes(const fs::path& directory) {
  const auto size_of = [&](const std::string& name) {
    std::error_code error;
    const fs::file_status status = fs::status(directory / name, error);
    if (status.type() == fs::file_type::none) {  // cannot be looked at: not known to be broken
      throw Error(ErrorKind::io, "[checkpoint] cannot look at it: " + error.message(),
                  (directory / name).string());
    }
    if (!fs::is_regular_file(status)) broken("the file is missing", directory / name);
    const auto size = fs::file_size(directory / name, error);
    if (error) broken("the file has no size", directory / name);
    return static_cast<std::int64_t>(size);
  };
  size_of(manifest_name);
  const fs::path path = directory / manifest_name;
  Manifest manifest = parse_manifest(read_file(path, max_text_bytes), path.string());
  for (const FileFacts& file : manifest.files) {
    const std::int64_t size = size_of(file.name);
    if (size != file.bytes) {
      broken("expected " + std::to_string(file.bytes) + " bytes; got " + std::to_string(size),
             directory / file.name);
    }
  }
  for (const char* name : {model_file, optimizer_file, state_file}) {
    if (std::none_of(manifest.files.begin(), manifest.files.end(),
                     [&](const FileFacts& file) { return file.name == name; })) {
      broken(std::string("the manifest does not name ") + name, path);
    }
  }
  return manifest;
}

NamedTensors read_tensors(const fs::path& path, const FileFacts& facts) {
  FileReader file(path);
  TensorFile content = read_safetensors(file);
  check_hash(file, facts);
  return {std::make_move_iterator(content.tensors.begin()),
          std::make_move_iterator(content.tensors.end())};
}

std::string read_text(const fs::path& path, const FileFacts& facts) {
  FileReader file(path);
  if (file.size() != facts.bytes || facts.bytes > max_text_bytes) broken("the size is wrong", path);
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(text.data(), file.size());
  check_hash(file, facts);
  return text;
}

// Reads every byte back and compares it with what was meant to be written.
void verify(const fs::path& directory, const Manifest& manifest) {
  std::string chunk(std::size_t{4} << 20, '\0');
  check_sizes(directory);
  for (const FileFacts& facts : manifest.files) {
    FileReader file(directory / facts.name);
    while (file.position() < file.size()) {
      file.read(chunk.data(), std::min<std::int64_t>(static_cast<std::int64_t>(chunk.size()),
                                                     file.size() - file.position()));
    }
    check_hash(file, facts);
  }
}

bool sizes_are_right(const fs::path& directory) {
  try {
    check_sizes(directory);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Out of the way under one rename, so that a half removed one is never taken for a checkpoint.
void remove_old(const fs::path& path) {
  const fs::path dying = temporary_beside(path);
  rename_path(path, dying);
  remove_tree(dying);
}

}  // namespace

State private_copy(const State& state) {
  State copy = state;
  const auto detach = [](NamedTensors& tensors) {
    for (auto& [name, tensor] : tensors) {
      tensor = tensor.is_cpu() ? tensor.detach().clone() : tensor.detach().cpu();
    }
  };
  detach(copy.model);
  detach(copy.optimizer);
  for (auto& [name, tensors] : copy.more) detach(tensors);
  return copy;
}

Checkpointer::Checkpointer(fs::path directory, std::int64_t keep, Log log)
    : directory_(std::move(directory)), keep_(keep), log_(std::move(log)) {
  if (keep < 1) {
    throw Error(ErrorKind::config,
                "[checkpoint] expected keep to be at least 1; got " + std::to_string(keep));
  }
  if (!log_) log_ = [](const std::string&) {};
  SaveScope scope("directory");
  make_directories(directory_);
  scope.done();
}

fs::path Checkpointer::directory_of(std::int64_t step) const { return directory_ / name_of(step); }

void Checkpointer::commit(const State& state) {
  check_names(state);
  SaveScope scope("commit " + std::to_string(state.step));
  for (const std::string& name : list_directory(directory_)) {
    if (is_leftover(name)) try_to([&] { remove_tree(directory_ / name); });
  }

  const fs::path target = directory_of(state.step);
  const fs::path temporary = temporary_beside(target);
  try {
    make_directory(temporary);
    const Manifest manifest = write_all(temporary, state);
    verify(temporary, manifest);
    if (fs::exists(fs::symlink_status(target))) {
      rename_path(target, free_name(directory_, name_of(state.step), ".replaced-"));
    }
    rename_path(temporary, target);
  } catch (...) {
    // The space is wanted back now; what cannot be removed is left to the next commit.
    try_to([&] { remove_tree(temporary); });
    throw;
  }
  fsync_directory(directory_);
  scope.done();
  try_to([&] { remove_surplus(state); });
}

// What would be good to do, but no reason to stop a run whose checkpoint stands.
void Checkpointer::try_to(const std::function<void()>& action) const {
  try {
    action();
  } catch (const Error& error) {
    log_(std::string("checkpoints: ") + error.what());
  }
}

void Checkpointer::remove_surplus(const State& state) {
  const std::int64_t step = state.step;
  std::set<std::int64_t> stay(state.kept_steps.begin(), state.kept_steps.end());
  stay.insert({step, state.best_step});
  std::int64_t good = 0;
  for (const Committed& found : list_committed(directory_)) {
    const fs::path path = directory_ / found.name;
    if (found.replaced > 0 && found.step == step) {
      remove_old(path);
    } else if (found.step == step || sizes_are_right(path)) {
      if (++good > keep_ && !stay.contains(found.step)) remove_old(path);
    }
  }
}

fs::path directory_of(const fs::path& checkpoints, std::int64_t step) {
  return checkpoints / name_of(step);
}

std::optional<fs::path> newest_directory(const fs::path& checkpoints) {
  const std::vector<Committed> all = list_committed(checkpoints);
  if (all.empty()) return std::nullopt;
  return checkpoints / all.front().name;
}

std::optional<State> Checkpointer::newest_good() {
  for (const Committed& found : list_committed(directory_)) {
    const fs::path path = directory_ / found.name;
    try {
      State state = load(path);
      log_("checkpoint " + found.name + " is whole");
      return state;
    } catch (const Error& error) {
      log_("checkpoint " + found.name + " is passed over: " + error.what());
      // What cannot be read today may be readable tomorrow.
      if (error.kind() != ErrorKind::data) continue;
    }
    const fs::path aside = free_name(directory_, found.name, ".broken-");
    rename_path(path, aside);
    fsync_directory(directory_);
    log_("checkpoint " + found.name + " is set aside as " + aside.filename().string());
  }
  return std::nullopt;
}

void Checkpointer::leave_after(std::int64_t step) {
  for (const Committed& found : list_committed(directory_)) {
    if (found.step <= step) continue;
    const fs::path aside = free_name(directory_, found.name, ".left-");
    rename_path(directory_ / found.name, aside);
    log_("checkpoint " + found.name + " is left behind as " + aside.filename().string());
  }
  fsync_directory(directory_);
}

void check_texts(const fs::path& directory) {
  const std::optional<Manifest> manifest = manifest_in(directory);
  if (!manifest) return;
  for (const FileFacts& facts : manifest->files) {
    std::error_code ignored;
    const fs::path path = directory / facts.name;
    if (facts.name.ends_with(tensors_ending) || !fs::is_regular_file(path, ignored)) continue;
    read_text(path, facts);
  }
}

State Checkpointer::load(const fs::path& directory) {
  const Manifest manifest = check_sizes(directory);
  const auto name = parse_name(fs::absolute(directory).lexically_normal().filename().string());
  if (name && name->step != manifest.step) {
    broken("the manifest is of step " + std::to_string(manifest.step), directory);
  }
  State state;
  state.step = manifest.step;
  for (const FileFacts& facts : manifest.files) {
    const fs::path path = directory / facts.name;
    if (facts.name == model_file) {
      state.model = read_tensors(path, facts);
    } else if (facts.name == optimizer_file) {
      state.optimizer = read_tensors(path, facts);
    } else if (facts.name == state_file) {
      state.json = read_text(path, facts);
    } else if (facts.name.ends_with(tensors_ending)) {
      state.more.emplace_back(facts.name, read_tensors(path, facts));
    } else {
      state.files.emplace_back(facts.name, read_text(path, facts));
    }
  }
  return state;
}

}  // namespace tandem::checkpoint
