#pragma once
// What is in a source, for a person: samples as one HTML page that needs no network, and statistics
// for the terminal (`tandem data inspect`).

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tandem/base/random.h"
#include "tandem/data/source.h"
#include "tandem/vision/image.h"

namespace tandem::data {

struct InspectOptions {
  std::int64_t shown = 48;       // samples on the page, drawn by `seed`
  std::int64_t counted = 20000;  // samples that the statistics read, evenly spread; 0: all
  std::uint64_t seed = 0;
  // The picture as training would see it under that key; may be empty.
  std::function<vision::Image(const Sample&, Key)> view{};
  std::function<std::int64_t(const std::string&)> tokens{};  // of a caption; may be empty
};

// Of whole numbers.
struct Spread {
  std::int64_t count = 0, least = 0, median = 0, percentile_95 = 0, most = 0;
  double mean = 0;
};
Spread spread_of(std::vector<std::int64_t> values);

struct ShownSample {
  std::string id{}, facts{};              // 640 x 480, jpeg, 31 kB
  std::string picture_png{}, view_png{};  // thumbnails; empty where there is none
  std::vector<std::string> texts{};
  std::string problem{};  // why it cannot be used
};

struct Inspection {
  std::string name{}, fingerprint{};
  std::int64_t samples = 0;
  std::int64_t counted = 0;  // of them, in what follows
  std::int64_t pictures = 0, texts = 0, without_text = 0;
  Spread width{}, height{}, words{}, tokens{}, texts_each{};  // tokens.count 0: no tokenizer
  std::map<std::string, std::int64_t> encodings{}, sizes{};   // sizes: "640 x 480"
  // Pictures whose (first) bytes, and texts that, stand before.
  std::int64_t same_pictures = 0, same_texts = 0;
  std::int64_t bad = 0, left_out = 0;
  std::vector<Finding> findings{};  // the first of both
  std::vector<ShownSample> shown{};
};

Inspection inspect(const std::string& name, const Source& source, const InspectOptions& options);

// The training view with the default settings, where no config says how pictures are seen.
std::function<vision::Image(const Sample&, Key)> plain_view();

// Lines for the terminal.
std::string inspection_text(const Inspection& inspection);
// One page for all of them: pictures lie in it, nothing is fetched.
std::string inspection_page(const std::vector<Inspection>& inspections);

// The source that lies at a path, by what it looks like: a folder, tars, a table, COCO's or
// Flickr30k's captions, text; FORMAT:PATH says which. pictures: the folder of its pictures; empty:
// beside the file. Throws Error(config) for what does not look like any.
std::unique_ptr<Source> open_path(const std::string& path, const std::string& pictures);

}  // namespace tandem::data
