# Compiler cache, linker, warnings and sanitizers, for our own targets only.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

# -Wno-restrict: gcc 12 sees overlaps in std::string's operator+ that are not there (its bug 105651).
add_library(tandem_options INTERFACE)
target_include_directories(tandem_options INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
target_compile_options(tandem_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wno-missing-field-initializers -Wno-restrict>)
if(NOT TANDEM_FUZZ)  # a planted bug may leave a variable unused
  target_compile_options(tandem_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(tandem_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()
if(TANDEM_ASAN OR TANDEM_FUZZ)
  # gcc 12 with sanitizers sees uninitialized members in std::regex that are not there.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
                      -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=address,undefined)
endif()
if(TANDEM_FUZZ)  # scripts/fuzz, with clang; its warnings are not those that the code is kept free of
  add_compile_options(-fsanitize=fuzzer-no-link,float-cast-overflow
                      -fno-sanitize-recover=float-cast-overflow -Wno-unknown-warning-option)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)
