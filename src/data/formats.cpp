// The formats a config may name: one line each. A format is a struct of settings (derived from
// Settings) and a function that opens it.

#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/data/coco.h"
#include "tandem/data/conceptual_captions.h"
#include "tandem/data/dialogue.h"
#include "tandem/data/flickr30k.h"
#include "tandem/data/folder.h"
#include "tandem/data/nlvr2.h"
#include "tandem/data/pictures.h"
#include "tandem/data/refcoco.h"
#include "tandem/data/science_qa.h"
#include "tandem/data/snli_ve.h"
#include "tandem/data/source.h"
#include "tandem/data/table.h"
#include "tandem/data/text_lines.h"
#include "tandem/data/vqa.h"
#include "tandem/data/webdataset.h"
#include "tandem/data/world/source.h"

namespace tandem::data {
namespace {

struct Format {
  std::string name;
  std::function<std::unique_ptr<Settings>()> settings;
  std::function<std::unique_ptr<Source>(const Settings&)> open;
};

template <class S>
[[maybe_unused]] Format format(std::string name, std::unique_ptr<Source> (*open)(const S&)) {
  return {name, [] { return std::make_unique<S>(); },
          [name, open](const Settings& settings) {
            const auto* own = dynamic_cast<const S*>(&settings);
            TANDEM_CHECK(own != nullptr, "settings of another format given to " + name);
            return open(*own);
          }};
}

const std::vector<Format>& formats() {
  static const std::vector<Format> table{
      format("coco", open_coco),
      format("conceptual_captions", open_conceptual_captions),
      format("dialogue", open_dialogue),
      format("flickr30k", open_flickr30k),
      format("folder", open_folder),
      format("nlvr2", open_nlvr2),
      format("pictures", open_picture_folder),
      format("refcoco", open_refcoco),
      format("science_qa", open_science_qa),
      format("snli_ve", open_snli_ve),
      format("table", open_table),
      format("text", open_text),
      format("visual_genome_qa", open_visual_genome_qa),
      format("vqa", open_vqa),
      format("webdataset", open_webdataset),
      format("world", world::open_world),
  };
  return table;
}

const Format* find(std::string_view name) {
  const auto it = std::find_if(formats().begin(), formats().end(),
                               [&](const Format& format) { return format.name == name; });
  return it == formats().end() ? nullptr : &*it;
}

}  // namespace

const SettingsTable& source_formats() {
  static const SettingsTable table = [] {
    SettingsTable made;
    for (const Format& format : formats()) made.names.push_back(format.name);
    made.make = [](std::string_view name) -> std::unique_ptr<Settings> {
      const Format* format = find(name);
      return format != nullptr ? format->settings() : nullptr;
    };
    return made;
  }();
  return table;
}

std::unique_ptr<Source> open_source(std::string_view name, const Settings& settings) {
  const Format* format = find(name);
  if (format == nullptr) {
    std::string known;
    for (const Format& one : formats()) known += (known.empty() ? "" : ", ") + one.name;
    throw Error(ErrorKind::config,
                "[data] expected a format of {" + known + "}; got '" + std::string(name) + "'");
  }
  return format->open(settings);
}

}  // namespace tandem::data
