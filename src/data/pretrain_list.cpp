#include "tandem/data/pretrain_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "data/noun_phrases.h"
#include "tandem/base/error.h"
#include "tandem/base/files.h"
#include "tandem/base/random.h"
#include "tandem/data/picture_files.h"

namespace tandem::data {
namespace {

using OrderedJson = nlohmann::ordered_json;

// `count` of [0, n), each subset as likely.
std::vector<std::size_t> drawn_places(Key key, std::size_t n, std::size_t count) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < count; ++i) {
    places.push_back(static_cast<std::size_t>(permute(key, i, n)));
  }
  return places;
}

struct PhraseGroup {
  std::size_t first = 0, captions = 0;  // in the sorted list
};

std::string nine_digits(std::int64_t number) {
  std::string text = std::to_string(number);
  if (text.size() < 9) text.insert(0, 9 - text.size(), '0');
  return text;
}

// A sample with a caption.
struct CaptionedPlace {
  std::size_t input = 0;
  std::int64_t index = 0;
};

std::string list_line(const std::string& id, const std::string& image, const std::string& request,
                      const std::string& caption) {
  const OrderedJson line{
      {"id", id},
      {"image", image},
      {"conversations", OrderedJson::array({{{"from", "human"}, {"value", request}},
                                            {{"from", "gpt"}, {"value", caption}}})}};
  return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

class PretrainListWriter {
 public:
  explicit PretrainListWriter(const PretrainListJob& job)
      : job_(job), pictures_(job.folder / "pictures", job.copy) {
    TANDEM_CHECK(!job.requests.empty(), "[data] a list without requests");
  }

  PretrainList write() {
    count_all();
    list_.balance = balance_.balanced(job_.rules);
    if (list_.balance.kept.empty()) {
      throw Error(ErrorKind::data,
                  "[data] expected captions with a noun phrase that at least " +
                      std::to_string(job_.rules.least) + " of them share; got none among " +
                      std::to_string(list_.samples),
                  job_.folder.string());
    }
    make_directories(job_.folder);
    replace_file(job_.folder / "data.json", 0, [&](FileWriter& file) {
      file.write("[");
      bool first = true;
      for (const std::int64_t place : list_.balance.kept) {
        const std::string line = line_of(samples_[static_cast<std::size_t>(place)]);
        if (line.empty()) continue;
        file.write(first ? "\n" : ",\n");
        first = false;
        file.write(line);
        ++list_.written;
      }
      file.write("\n]\n");
    });
    list_.wrote_pictures = pictures_.writes();
    return std::move(list_);
  }

 private:
  void count_all() {
    for (std::size_t input = 0; input < job_.inputs.size(); ++input) {
      const Source& source = *job_.inputs[input].second;
      for (std::int64_t index = 0; index < source.size(); ++index) {
        try {
          const Sample sample = source.peek(index);
          if (sample.texts.empty()) continue;
          balance_.add(sample.texts[0]);
          samples_.push_back({input, index});
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::data) throw;
          ++list_.bad;
        }
      }
    }
    list_.samples = static_cast<std::int64_t>(samples_.size());
  }

  // Empty for a picture that cannot be read, or is none.
  std::string line_of(const CaptionedPlace& one) {
    try {
      const std::string line = readable_line_of(one);
      if (line.empty()) ++list_.bad;
      return line;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      ++list_.bad;
      return {};
    }
  }

  std::string readable_line_of(const CaptionedPlace& one) {
    const auto& [name, source] = job_.inputs[one.input];
    const Sample sample = source->peek(one.index);
    const std::string number = nine_digits(one.index);
    const std::string id = job_.inputs.size() > 1 ? name + "-" + number : number;
    const std::string image = pictures_.name_of(*source, one.index, sample, name + "/" + number);
    if (image.empty()) return {};
    Random random(Key(job_.rules.seed)
                      .fold("pretrain request")
                      .fold(name)
                      .fold(static_cast<std::uint64_t>(one.index)));
    std::string request(job_.requests[random.below(job_.requests.size())]);
    request = random.below(2) == 0 ? "<image>\n" + request : request + "\n<image>";
    return list_line(id, image, request, sample.texts[0]);
  }

  const PretrainListJob& job_;
  PictureFiles pictures_;
  ConceptBalance balance_{};
  std::vector<CaptionedPlace> samples_{};
  PretrainList list_{};
};

}  // namespace

void ConceptBalance::add(std::string_view caption) {
  for (const std::string& phrase : noun_phrases(caption)) {
    found_.emplace_back(hash64(phrase), captions_);
  }
  ++captions_;
}

Balance ConceptBalance::balanced(const BalanceRules& rules) const {
  std::vector<std::pair<std::uint64_t, std::int64_t>> sorted = found_;
  std::sort(sorted.begin(), sorted.end());
  std::vector<PhraseGroup> groups;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i == 0 || sorted[i].first != sorted[i - 1].first) groups.push_back({i, 0});
    ++groups.back().captions;
  }
  std::stable_sort(groups.begin(), groups.end(), [](const PhraseGroup& a, const PhraseGroup& b) {
    return a.captions < b.captions;
  });
  Balance made;
  made.phrases = static_cast<std::int64_t>(groups.size());
  std::vector<bool> is_kept(static_cast<std::size_t>(captions_), false);
  const auto keep = [&](std::size_t at) {
    is_kept[static_cast<std::size_t>(sorted[at].second)] = true;
  };
  const auto most = static_cast<std::size_t>(rules.most);
  for (const PhraseGroup& group : groups) {
    if (group.captions < static_cast<std::size_t>(rules.least)) {
      ++made.rare;
    } else if (group.captions <= most) {
      for (std::size_t i = 0; i < group.captions; ++i) keep(group.first + i);
    } else {
      ++made.frequent;
      const Key key = Key(rules.seed).fold("captions of a phrase").fold(sorted[group.first].first);
      for (const std::size_t i : drawn_places(key, group.captions, most)) keep(group.first + i);
    }
  }
  for (std::int64_t place = 0; place < captions_; ++place) {
    if (is_kept[static_cast<std::size_t>(place)]) made.kept.push_back(place);
  }
  return made;
}

PretrainList write_pretrain_list(const PretrainListJob& job) {
  return PretrainListWriter(job).write();
}

}  // namespace tandem::data
