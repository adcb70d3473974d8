#include "vision/video_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "tandem/base/error.h"

namespace tandem::vision {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInstall =
    "video files need OpenCV's videoio: on Debian, apt-get install libopencv-videoio-dev, then "
    "scripts/setup, which builds libtandem_video.so; TANDEM_VIDEO_LIBRARY names it elsewhere; "
    "lists of frames need none of it";

std::vector<fs::path> places() {
  const char* named = std::getenv("TANDEM_VIDEO_LIBRARY");
  if (named != nullptr && *named != '\0') return {named};
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {folder / "libtandem_video.so", folder.parent_path() / "lib" / "libtandem_video.so"};
}

[[noreturn]] void refuse(const std::string& what, const std::string& where = {}) {
  throw Error(ErrorKind::config, "[video] " + what, where, kInstall);
}

fs::path place() {
  std::string tried;
  for (const fs::path& path : places()) {
    std::error_code ignored;
    if (fs::exists(path, ignored)) return path;
    tried += (tried.empty() ? "" : ", ") + path.string();
  }
  refuse("expected libtandem_video.so; got no file at " + tried);
}

template <class Function>
void find(void* opened, const char* name, const fs::path& path, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(opened, name));
  if (function == nullptr) refuse("expected the function " + std::string(name), path.string());
}

}  // namespace

VideoLibrary load_video_library() {
  const fs::path path = place();
  void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // kept: threads may be inside
  if (opened == nullptr) {
    const char* why = dlerror();
    refuse(std::string("expected a library that loads; got: ") + (why == nullptr ? "?" : why),
           path.string());
  }
  int (*version)() = nullptr;
  find(opened, "tandem_video_version", path, version);
  if (const int got = version(); got != kVideoSeamVersion) {
    refuse("expected the library of this binary; got version " + std::to_string(got),
           path.string());
  }
  VideoLibrary library;
  find(opened, "tandem_video_open", path, library.open);
  find(opened, "tandem_video_next", path, library.next);
  find(opened, "tandem_video_close", path, library.close);
  return library;
}

const VideoLibrary& video_library() {
  static std::mutex mutex;
  static VideoLibrary library;
  const std::lock_guard lock(mutex);
  if (library.open == nullptr) library = load_video_library();
  return library;
}

}  // namespace tandem::vision
