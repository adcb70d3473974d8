# tandem_room(NAME LINKS ...): one static library per room from src/NAME/**.cpp.
#
# nn and models include torch/nn, 15 s a file: they and their tests share one precompiled header,
# built with nn. The other rooms keep to headers that are cheaper than it. Headers are most of what a
# file costs all the same, so several are compiled together (TANDEM_UNITY): in nn and models those of
# one folder (a family: half a minute, where its files one by one took two), in the other rooms
# twelve at a time, in their tests four. The names that a file keeps to itself therefore differ
# within a room; a test file has a namespace of its own.
set(TANDEM_PCH_ROOMS nn models)
function(tandem_precompile target room)
  if(target STREQUAL "tandem_nn")
    target_precompile_headers(tandem_nn PRIVATE ${CMAKE_SOURCE_DIR}/src/nn/pch.h)
  elseif(room IN_LIST TANDEM_PCH_ROOMS)
    target_precompile_headers(${target} REUSE_FROM tandem_nn)
    # gcc takes it only with the flags that it was made with; executables would have -fPIE.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
endfunction()

option(TANDEM_UNITY "Compile several files of a room together" ON)
function(tandem_in_batches target size)
  if(TANDEM_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE BATCH
                          UNITY_BUILD_BATCH_SIZE ${size})
  endif()
endfunction()

# -O3 only where loops of our own run over bytes and pixels. The other rooms call ATen, and what they
# take is headers: -O1 compiles them in three fifths of the time, and the same bits come out.
set(TANDEM_HOT base text vision)
function(tandem_optimise target room)
  if(NOT room IN_LIST TANDEM_HOT)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
endfunction()

function(tandem_together target)
  if(NOT TANDEM_UNITY)
    return()
  endif()
  foreach(source ${ARGN})
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(group ${folder} NAME)
    set_property(SOURCE ${source} PROPERTY UNITY_GROUP ${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

function(tandem_room name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/(cuda|video)/[^/]*$")  # libraries of their own (Cuda, Video)
  if(NOT sources)
    add_library(tandem_${name} INTERFACE)
    target_link_libraries(tandem_${name} INTERFACE tandem_options ${ARG_LINKS})
  else()
    add_library(tandem_${name} STATIC ${sources})
    target_link_libraries(tandem_${name} PUBLIC tandem_options ${ARG_LINKS})
    tandem_precompile(tandem_${name} ${name})
    tandem_optimise(tandem_${name} ${name})
    if(name IN_LIST TANDEM_PCH_ROOMS)
      tandem_together(tandem_${name} ${sources})
    elseif(NOT name STREQUAL "vision")  # one file a variant of the same operations, under the same names
      tandem_in_batches(tandem_${name} 12)
    endif()
  endif()
endfunction()

set(TANDEM_WITHOUT_ATEN base config text vision report)
# tandem_tests(ROOM [LINKS ...]): one Catch2 binary per room from tests/ROOM/*.cpp. Its cases run as
# one test, those tagged [slow] as another, those tagged [gpu] one by one.
function(tandem_tests room)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${room}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_executable(test_${room} ${sources})
  target_link_libraries(test_${room} PRIVATE tandem_test_main tandem_${room} ${ARG_LINKS})
  target_compile_definitions(test_${room} PRIVATE TANDEM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  tandem_precompile(test_${room} ${room})
  tandem_in_batches(test_${room} 4)
  if(room STREQUAL "data")
    # c10 prints vectors of anything, and fails at what cannot be printed: apart from the others.
    foreach(one loader kept_rows others ranks)
      set_source_files_properties(${CMAKE_SOURCE_DIR}/tests/data/${one}_test.cpp
                                  PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endforeach()
  elseif(NOT room IN_LIST TANDEM_WITHOUT_ATEN)
    # c10 and Catch both have a CHECK: Catch's has to come last.
    set_target_properties(test_${room} PROPERTIES
                          UNITY_BUILD_CODE_BEFORE_INCLUDE "#include <c10/util/Logging.h>")
  endif()
  # Catch's macros are slow to optimise and gain nothing; the precompiled header wants its own flags.
  if(room IN_LIST TANDEM_PCH_ROOMS)
    tandem_optimise(test_${room} ${room})
  else()
    target_compile_options(test_${room} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-Og>)
  endif()
  add_test(NAME ${room} COMMAND test_${room} "~[slow]~[gpu]~[.]")
  # Tests run side by side: threads of two of them on the same cores wait for each other for minutes.
  set_tests_properties(${room} PROPERTIES TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT OMP_NUM_THREADS=1)
  tandem_gpu_tests(${room} ${sources})
  foreach(source ${sources})
    file(STRINGS ${source} slow REGEX "TEST_CASE.*\\[slow\\]|^ *\"\\[slow\\]\"")
    if(slow)
      add_test(NAME "slow: ${room}" COMMAND ${CMAKE_SOURCE_DIR}/tests/slow $<TARGET_FILE:test_${room}> "[slow]~[gpu]")
      set_tests_properties("slow: ${room}" PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 7200)
      break()
    endif()
  endforeach()
endfunction()

# Every test case tagged [gpu] is a test of its own for ctest, so that each is counted as skipped
# where there is no GPU.
function(tandem_gpu_tests room)
  foreach(source ${ARGN})
    file(READ ${source} text)
    string(REGEX MATCHALL "TEST_CASE\\(\"[^\"]*\",[ \n]*\"[^\"]*\\[gpu\\]" cases "${text}")
    foreach(case ${cases})
      string(REGEX REPLACE "TEST_CASE\\(\"([^\"]*)\".*" "\\1" name "${case}")
      string(REPLACE "," "\\," filter "${name}")
      add_test(NAME "gpu: ${name}" COMMAND ${CMAKE_SOURCE_DIR}/tests/gpu $<TARGET_FILE:test_${room}> "${filter}")
      set_tests_properties("gpu: ${name}" PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
    endforeach()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  endforeach()
endfunction()
