# Our own imported targets for LibTorch: find_package(Torch) fails where no CUDA toolkit is
# installed, and a CPU build must not load libtorch_cuda.so.
file(GLOB _torch ${CMAKE_SOURCE_DIR}/.deps/python/lib/python3*/site-packages/torch)
set(TANDEM_TORCH_DIR "${_torch}" CACHE PATH "the torch folder of the wheel torch==2.11.0")
if(NOT EXISTS "${TANDEM_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no LibTorch in ${TANDEM_TORCH_DIR}; run scripts/setup")
endif()
# scripts/setup writes it: with CUDA's wheels added, there is more to build.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/.deps/installed)
set(_lib "${TANDEM_TORCH_DIR}/lib")
set(_nvidia "${TANDEM_TORCH_DIR}/../nvidia/cu13/lib")

add_library(torch::c10 SHARED IMPORTED)
set_target_properties(torch::c10 PROPERTIES
  IMPORTED_LOCATION "${_lib}/libc10.so"
  INTERFACE_INCLUDE_DIRECTORIES
  "${TANDEM_TORCH_DIR}/include;${TANDEM_TORCH_DIR}/include/torch/csrc/api/include")

add_library(torch::cpu SHARED IMPORTED)
set_target_properties(torch::cpu PROPERTIES
  IMPORTED_LOCATION "${_lib}/libtorch_cpu.so"
  INTERFACE_COMPILE_DEFINITIONS "USE_DISTRIBUTED;USE_C10D_GLOO"
  INTERFACE_LINK_LIBRARIES torch::c10
  INTERFACE_LINK_OPTIONS "-Wl,--allow-shlib-undefined")
# The loader's path of what is built here: CMake adds torch's own folder. libtorch_cpu.so also needs
# the CUDA runtime and CUPTI of the wheels beside it. What is installed (scripts/package) brings its
# libraries along; as RPATH, not RUNPATH, since libraries of libraries are looked for there too.
list(APPEND CMAKE_BUILD_RPATH "${_nvidia}")
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
add_link_options(-Wl,--disable-new-dtags)

# Only libtandem_cuda.so links these (cmake/Cuda.cmake).
if(EXISTS "${_lib}/libtorch_cuda.so")
  add_library(torch::c10_cuda SHARED IMPORTED)
  set_target_properties(torch::c10_cuda PROPERTIES IMPORTED_LOCATION "${_lib}/libc10_cuda.so")
  add_library(torch::cuda SHARED IMPORTED)
  set_target_properties(torch::cuda PROPERTIES
    IMPORTED_LOCATION "${_lib}/libtorch_cuda.so"
    INTERFACE_LINK_LIBRARIES "torch::c10_cuda;torch::cpu")
endif()
