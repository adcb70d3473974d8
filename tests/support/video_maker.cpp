// Video files by OpenCV's writer, in a library of its own so that no test binary is linked to
// ffmpeg. See video.h.
#include <exception>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/videoio.hpp>

// rgb: `frames` pictures, [frames, height, width, 3]. 0: this codec is not here.
extern "C" __attribute__((visibility("default"))) int tandem_make_video(
    const char* path, const char* fourcc, double fps, int width, int height, int frames,
    const unsigned char* rgb) try {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  const bool mjpg = std::string(fourcc) == "MJPG" && std::string(path).ends_with(".avi");
  const int code = cv::VideoWriter::fourcc(fourcc[0], fourcc[1], fourcc[2], fourcc[3]);
  cv::VideoWriter writer;
  if (!writer.open(path, mjpg ? cv::CAP_OPENCV_MJPEG : cv::CAP_FFMPEG, code, fps,
                   {width, height})) {
    return 0;
  }
  writer.set(cv::VIDEOWRITER_PROP_QUALITY, 98);
  cv::Mat frame(height, width, CV_8UC3);
  for (int i = 0; i < frames; ++i) {
    for (int at = 0; at < width * height * 3; ++at) {
      frame.data[at - at % 3 + 2 - at % 3] = *rgb++;
    }
    writer.write(frame);
  }
  return 1;
} catch (const std::exception&) {
  return 0;
}
