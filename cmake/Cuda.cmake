# libtandem_cuda.so: what needs CUDA. The binary loads it for a GPU only (tensor/device.h).
#   TANDEM_CUDA=AUTO  built where CUDA's headers are; kernels where nvcc is too
#   TANDEM_CUDA=ON    nvcc and the headers are required
#   TANDEM_CUDA=OFF   not built
# Nothing is linked that the machine may lack: the libraries behind libtorch_cuda.so (cuDNN, NCCL,
# cuBLAS ...) come from the wheel's own dependencies when it is loaded.
if(NOT TANDEM_CUDA)
  return()
endif()

# Headers: the toolkit's, else those of the nvidia wheels beside torch.
find_program(TANDEM_NVCC nvcc PATHS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
set(_site "${TANDEM_TORCH_DIR}/../nvidia")
set(_toolkit "")
if(TANDEM_NVCC)
  file(REAL_PATH "${TANDEM_NVCC}" _toolkit)
  cmake_path(GET _toolkit PARENT_PATH _toolkit)
  cmake_path(GET _toolkit PARENT_PATH _toolkit)
endif()
set(_cuda_includes "")
set(_missing "")
foreach(header cuda_runtime_api.h cublas_v2.h cusparse.h cusolverDn.h nccl.h)
  find_path(_${header}_dir ${header} NO_CACHE NO_DEFAULT_PATH
            PATHS ${_toolkit}/include ${_site}/cu13/include ${_site}/nccl/include /usr/include)
  if(_${header}_dir)
    list(APPEND _cuda_includes "${_${header}_dir}")
  else()
    list(APPEND _missing ${header})
  endif()
endforeach()
list(REMOVE_DUPLICATES _cuda_includes)
list(REMOVE_ITEM _cuda_includes /usr/include)
find_library(_cudart NAMES libcudart.so.13 NO_CACHE NO_DEFAULT_PATH PATHS ${_site}/cu13/lib)

if(_missing OR NOT _cudart OR NOT EXISTS "${TANDEM_TORCH_DIR}/lib/libtorch_cuda.so"
   OR (TANDEM_CUDA STREQUAL "ON" AND NOT TANDEM_NVCC))
  if(TANDEM_CUDA STREQUAL "ON")
    message(FATAL_ERROR "TANDEM_CUDA=ON needs nvcc (found: ${TANDEM_NVCC}) and CUDA's headers "
      "(missing: ${_missing}); install the CUDA 13 toolkit, then scripts/setup cuda")
  endif()
  message(STATUS "no libtandem_cuda.so: CUDA's headers or libraries are not here (${_missing})")
  return()
endif()

file(GLOB _sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*/cuda/*.cpp)
if(TANDEM_NVCC)
  set(CMAKE_CUDA_COMPILER "${TANDEM_NVCC}")
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # torch's, below
  if(CCACHE_PROGRAM)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
  enable_language(CUDA)
  file(GLOB _kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*/cuda/*.cu)
  list(APPEND _sources ${_kernels})
else()
  message(STATUS "libtandem_cuda.so without kernels of ours: no nvcc; ATen's are used")
endif()

add_library(tandem_cuda SHARED ${_sources})
target_include_directories(tandem_cuda PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
target_include_directories(tandem_cuda SYSTEM PRIVATE ${_cuda_includes})
target_compile_definitions(tandem_cuda PRIVATE USE_C10D_NCCL)
target_compile_options(tandem_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>
                       $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall>)
target_link_libraries(tandem_cuda PRIVATE torch::cuda "${_cudart}")
set_target_properties(tandem_cuda PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
  CXX_VISIBILITY_PRESET default)
install(TARGETS tandem_cuda LIBRARY DESTINATION lib)
