#include "tandem/checkpoint/checkpoint.h"

#include <ATen/ops/ones.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../support/temporary.h"
#include "states.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/random.h"

namespace checkpoint_test {

using namespace tandem;
using namespace tandem::testing;
using checkpoint::Checkpointer;
using checkpoint::State;
using Names = std::vector<std::string>;

namespace {

struct Logged {
  std::string text{};
  checkpoint::Log log() {
    return [this](const std::string& line) { text += line + "\n"; };
  }
  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

void flip(const std::filesystem::path& path, std::size_t bit) {
  std::string bytes = bytes_of_file(path);
  bytes.at(bit / 8) = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  put_file(path, bytes);
}

}  // namespace

TEST_CASE("a committed state comes back whole") {
  TemporaryDirectory directory;
  Checkpointer saver(directory / "run/checkpoints", 3);
  CHECK_FALSE(saver.newest_good().has_value());
  saver.commit(state_of(5));
  saver.commit(state_of(1234567));
  const auto found = saver.newest_good();
  REQUIRE(found.has_value());
  CHECK(equal(*found, state_of(1234567)));
  CHECK(equal(Checkpointer::load(saver.directory_of(5)), state_of(5)));
  CHECK(saver.directory_of(5).filename() == "step-000005");
  CHECK(list_directory(directory / "run/checkpoints") == Names{"step-000005", "step-1234567"});
  CHECK(list_directory(saver.directory_of(5)) == Names{"config.json", "manifest.json",
                                                       "model.safetensors", "optimizer.safetensors",
                                                       "state.json"});
  CHECK(load_safetensors(saver.directory_of(5) / "model.safetensors").metadata ==
        std::map<std::string, std::string>{{"format", "pt"}});
}

TEST_CASE("a state without an optimizer or files is a state") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 1);
  const State empty{.step = 0, .model = {{"w", at::ones({2})}}};
  saver.commit(empty);
  CHECK(equal(saver.newest_good().value(), empty));
}

TEST_CASE("equal states give equal bytes, whatever the order of their tensors") {
  TemporaryDirectory directory;
  Checkpointer a(directory / "a", 1), b(directory / "b", 1);
  State state = state_of(7);
  a.commit(state);
  std::reverse(state.model.begin(), state.model.end());
  std::reverse(state.optimizer.begin(), state.optimizer.end());
  b.commit(state);
  for (const std::string& name : list_directory(a.directory_of(7))) {
    CHECK(bytes_of_file(a.directory_of(7) / name) == bytes_of_file(b.directory_of(7) / name));
  }
}

TEST_CASE("the manifest names every file, its size and its checksum, and every tensor") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 1);
  saver.commit(state_of(7));
  const auto manifest =
      nlohmann::json::parse(bytes_of_file(saver.directory_of(7) / "manifest.json"));
  CHECK(manifest["step"] == 7);
  CHECK(manifest["version"] == 1);
  CHECK(manifest["files"].size() == 4);
  for (const auto& file : manifest["files"]) {
    const std::string bytes = bytes_of_file(saver.directory_of(7) / file["name"]);
    CHECK(file["bytes"] == bytes.size());
    CHECK(file["xxh3_128"] == hash128(bytes));
  }
  const auto& weight = manifest["tensors"]["model.safetensors"]["weight"];
  CHECK(weight["dtype"] == "F32");
  CHECK(weight["shape"] == std::vector<int>{2, 3});
}

TEST_CASE("the newest keep checkpoints stay") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 2);
  for (int step = 1; step <= 5; ++step) saver.commit(state_of(step));
  CHECK(list_directory(directory.path()) == Names{"step-000004", "step-000005"});
  // One that is cut is not counted as kept, and is no one's to delete.
  put_file(directory / "step-000005/state.json", "");
  saver.commit(state_of(6));
  CHECK(list_directory(directory.path()) == Names{"step-000004", "step-000005", "step-000006"});
  CHECK_THROWS_AS(Checkpointer(directory.path(), 0), Error);
}

TEST_CASE("the rest of an interrupted save goes with the next commit; other things stay") {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "step-000003.tmp.00ff/sub");
  put_file(directory / "step-000003.tmp.00ff/model.safetensors", "half");
  put_file(directory / "notes.tmp.txt", "mine");
  std::filesystem::create_directories(directory / "step-5");
  std::filesystem::create_directories(directory / "step-000002.broken-1");
  Checkpointer saver(directory.path(), 1);
  CHECK_FALSE(saver.newest_good().has_value());
  saver.commit(state_of(4));
  CHECK(list_directory(directory.path()) ==
        Names{"notes.tmp.txt", "step-000002.broken-1", "step-000004", "step-5"});
}

TEST_CASE("a checkpoint of the same step gives way to the new one") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 1);
  saver.commit(state_of(4));
  State other = state_of(4);
  other.json = "{\"again\": true}";
  saver.commit(other);
  CHECK(equal(saver.newest_good().value(), other));
  CHECK(list_directory(directory.path()) == Names{"step-000004"});
}

TEST_CASE("between the two renames of the same step the older one is found") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 1);
  saver.commit(state_of(4));
  std::filesystem::rename(directory / "step-000004", directory / "step-000004.replaced-1");
  CHECK(equal(saver.newest_good().value(), state_of(4)));
  saver.commit(state_of(5));
  CHECK(list_directory(directory.path()) == Names{"step-000005"});
}

TEST_CASE("a broken checkpoint is set aside, never deleted, and the one before it is taken") {
  TemporaryDirectory directory;
  Logged logged;
  Checkpointer saver(directory.path(), 3, logged.log());
  saver.commit(state_of(1));
  saver.commit(state_of(2));
  flip(directory / "step-000002/model.safetensors", 8 * 290);
  CHECK(equal(saver.newest_good().value(), state_of(1)));
  CHECK(logged.says("step-000002 is passed over"));
  CHECK(logged.says("model.safetensors"));
  CHECK(logged.says("set aside as step-000002.broken-1"));
  saver.commit(state_of(2));
  std::filesystem::remove(directory / "step-000002/manifest.json");
  CHECK(equal(saver.newest_good().value(), state_of(1)));
  CHECK(list_directory(directory.path()) ==
        Names{"step-000001", "step-000002.broken-1", "step-000002.broken-2"});
}

TEST_CASE("a checkpoint under the name of another step is broken") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 3);
  saver.commit(state_of(1));
  std::filesystem::rename(directory / "step-000001", directory / "step-000009");
  CHECK_FALSE(saver.newest_good().has_value());
  // Anywhere else its name says nothing.
  std::filesystem::rename(directory / "step-000009.broken-1", directory / "best");
  CHECK(equal(Checkpointer::load(directory / "best/"), state_of(1)));
}

TEST_CASE("every cut and every flipped bit of a checkpoint is found") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 3);
  State state = state_of(1);
  state.model.emplace_back("large", at::arange(5'000, at::kFloat));
  saver.commit(state);
  const auto checkpoint = saver.directory_of(1);
  Random random(Key(3).fold("bits"));
  const auto is_found = [&](const std::string& name) {
    try {
      Checkpointer::load(checkpoint);
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::data && error.where().find(name) != std::string::npos;
    }
  };
  for (const std::string& name : list_directory(checkpoint)) {
    INFO(name);
    const std::string good = bytes_of_file(checkpoint / name);
    const bool small = good.size() < 300;
    const std::size_t bits = good.size() * 8;
    for (std::size_t i = 0; i < (small ? bits : 300); ++i) {
      const std::size_t bit = small ? i : random.below(bits);
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      put_file(checkpoint / name, bad);
      if (!is_found(name)) FAIL_CHECK("bit " << bit << " is not found");
    }
    for (std::size_t i = 0; i < (small ? good.size() : 100); ++i) {
      const std::size_t size = small ? i : random.below(good.size());
      put_file(checkpoint / name, good.substr(0, size));
      if (!is_found(name)) FAIL_CHECK("a cut at " << size << " is not found");
    }
    put_file(checkpoint / name, good + std::string(1, '\0'));
    CHECK(is_found(name));
    std::filesystem::remove(checkpoint / name);
    CHECK(is_found(name));
    std::filesystem::create_directory(checkpoint / name);
    CHECK(is_found(name));
    std::filesystem::remove(checkpoint / name);
    put_file(checkpoint / name, good);
  }
  CHECK(equal(Checkpointer::load(checkpoint), state));
}

TEST_CASE("what is left behind is not found, and stays") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 9);
  for (const std::int64_t step : {10, 20, 30}) saver.commit(state_of(step));
  saver.leave_after(20);
  CHECK(saver.newest_good()->step == 20);
  saver.leave_after(10);
  saver.commit(state_of(30));
  saver.leave_after(10);
  CHECK(saver.newest_good()->step == 10);
  CHECK(list_directory(directory.path()) ==
        std::vector<std::string>{"step-000010", "step-000020.left-1", "step-000030.left-1",
                                 "step-000030.left-2"});
}

TEST_CASE("swapped files and hostile manifests are refused") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 3);
  saver.commit(state_of(1));
  const auto checkpoint = saver.directory_of(1);
  const std::string good = bytes_of_file(checkpoint / "manifest.json");
  // With a right checksum, so that the content itself is judged.
  const auto load_with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const std::size_t head = std::string("{\n \"xxh3_128\": \"").size();
    text.replace(head, 32, hash128(text.substr(head + 32)));
    put_file(checkpoint / "manifest.json", text);
    Checkpointer::load(checkpoint);
  };
  CHECK_NOTHROW(load_with("\"step\": 1", "\"step\": 1"));
  const std::pair<const char*, const char*> changes[] = {
      {"\"version\": 1", "\"version\": 2"},
      {"tandem checkpoint", "other"},
      {"\"step\": 1", "\"step\": \"1\""},
      {"\"step\": 1", "\"step\": 2"},
      {"\"name\": \"config.json\"", "\"name\": \"../config.json\""},
      {"\"name\": \"config.json\"", "\"name\": \"state.json\""},
      {"\"name\": \"state.json\"", "\"name\": \"manifest.json\""},
      {"\"files\": [", "\"file\": ["},
      {"\"bytes\": ", "\"bytes\": -"},
      {"\"files\": [", "\"files\": 1, \"x\": ["},
      {"\"step\": 1", "\"step\": 1, \"step\": 1"}};
  for (const auto& [from, to] : changes) {
    INFO(from << " -> " << to);
    CHECK_THROWS_AS(load_with(from, to), Error);
  }
}

TEST_CASE("states that cannot be named or written are refused and leave nothing") {
  TemporaryDirectory directory;
  Checkpointer saver(directory.path(), 1);
  const auto refused = [&](State state) {
    CHECK_THROWS_AS(saver.commit(state), Error);
    CHECK(list_directory(directory.path()).empty());
  };
  for (const char* name : {"", "..", "a/b", "manifest.json", "model.safetensors", "config.json"}) {
    State state = state_of(1);
    state.files.emplace_back(name, "");
    refused(state);
  }
  State negative = state_of(1);
  negative.step = -1;
  refused(negative);
  State twice = state_of(1);
  twice.optimizer.push_back(twice.optimizer.front());
  refused(twice);
}

TEST_CASE("a directory that cannot be made or listed is Error(io)") {
  TemporaryDirectory directory;
  put_file(directory / "file", "");
  CHECK_THROWS_AS(Checkpointer(directory / "file/x", 1), Error);
  Checkpointer saver(directory / "x", 1);
  std::filesystem::remove(directory / "x");
  CHECK_THROWS_AS(saver.newest_good(), Error);
  CHECK_THROWS_AS(saver.commit(state_of(1)), Error);
}

TEST_CASE("more tensors are saved in files of their own, and found again") {
  TemporaryDirectory directory;
  Checkpointer saver(directory / "c", 3);
  checkpoint::State state = state_of(10);
  state.more = {{"ema.safetensors", {{"weight", at::full({2}, 3.0)}}}};
  saver.commit(state);
  const checkpoint::State found = saver.newest_good().value();
  REQUIRE(found.more.size() == 1);
  CHECK(found.more[0].first == "ema.safetensors");
  CHECK(found.more[0].second.at(0).second.equal(at::full({2}, 3.0)));
  CHECK(equal(found, state_of(10)));
  state.more = {{"ema.bin", {}}};
  CHECK_THROWS_AS(saver.commit(state), Error);
  state.more = {{"model.safetensors", {}}};
  CHECK_THROWS_AS(saver.commit(state), Error);
}

TEST_CASE("the best checkpoint stays whatever its age, until another is the best") {
  TemporaryDirectory directory;
  Checkpointer saver(directory / "c", 1);
  const auto commit = [&](std::int64_t step, std::int64_t best) {
    checkpoint::State state = state_of(step);
    state.best_step = best;
    saver.commit(state);
    return list_directory(directory / "c");
  };
  CHECK(commit(10, 10) == Names{"step-000010"});
  CHECK(commit(20, 10) == Names{"step-000010", "step-000020"});
  CHECK(commit(30, 10) == Names{"step-000010", "step-000030"});
  CHECK(commit(40, 40) == Names{"step-000040"});
  CHECK(commit(50, -1) == Names{"step-000050"});
}

TEST_CASE("checkpoints that something begins with later stay, and the newest is found") {
  TemporaryDirectory directory;
  Checkpointer saver(directory / "c", 1);
  CHECK_FALSE(checkpoint::newest_directory(directory / "c").has_value());
  const auto commit = [&](std::int64_t step, const std::vector<std::int64_t>& kept) {
    checkpoint::State state = state_of(step);
    state.kept_steps = kept;
    saver.commit(state);
    return list_directory(directory / "c");
  };
  CHECK(commit(10, {}) == Names{"step-000010"});
  CHECK(commit(20, {10}) == Names{"step-000010", "step-000020"});
  CHECK(commit(30, {10, 20}) == Names{"step-000010", "step-000020", "step-000030"});
  CHECK(commit(40, {20}) == Names{"step-000020", "step-000040"});
  CHECK(checkpoint::newest_directory(directory / "c") ==
        checkpoint::directory_of(directory / "c", 40));
}

}  // namespace checkpoint_test
