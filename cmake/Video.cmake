# libtandem_video.so: OpenCV's reader of video files, and with it ffmpeg. The binary loads it when a
# run reads its first video (src/vision/video_library.cpp), so nothing else is linked to either.
# Built where OpenCV's videoio is (scripts/setup installs it); without it videos are refused by name.
find_path(OPENCV_VIDEOIO_INCLUDE opencv2/videoio.hpp PATH_SUFFIXES opencv4)
find_library(OPENCV_VIDEOIO opencv_videoio)
if(NOT OPENCV_VIDEOIO OR NOT OPENCV_VIDEOIO_INCLUDE)
  message(STATUS "no libtandem_video.so: OpenCV's videoio is not here (libopencv-videoio-dev)")
  return()
endif()

file(GLOB _sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/vision/video/*.cpp)
add_library(tandem_video SHARED ${_sources})
target_include_directories(tandem_video PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_include_directories(tandem_video SYSTEM PRIVATE ${OPENCV_VIDEOIO_INCLUDE})
target_compile_options(tandem_video PRIVATE -Wall -Wextra -Wpedantic -Werror)
target_link_libraries(tandem_video PRIVATE "${OPENCV_VIDEOIO}" "${OPENCV_CORE}" dl)
set_target_properties(tandem_video PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
  CXX_VISIBILITY_PRESET hidden)
if(TARGET tandem)
  add_dependencies(tandem tandem_video)
endif()
