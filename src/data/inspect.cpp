#include "tandem/data/inspect.h"

#include <algorithm>
#include <unordered_set>

#include "data/file.h"
#include "tandem/base/error.h"
#include "tandem/data/check.h"
#include "tandem/vision/decode.h"
#include "tandem/vision/encode.h"
#include "tandem/vision/transform.h"

namespace tandem::data {
namespace {

constexpr std::size_t most_findings = 20;
constexpr int thumbnail_side = 200;

std::int64_t words_of(std::string_view text) {
  std::int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    words += !space && !inside;
    inside = !space;
  }
  return words;
}

std::uint64_t hash_of(const Picture& picture) {
  const auto& bytes = picture.encoded.empty() ? picture.pixels.rgb : picture.encoded;
  return hash64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// What the statistics collect before it becomes spreads.
struct Counts {
  std::vector<std::int64_t> widths{}, heights{}, words{}, tokens{}, texts_each{};
  std::unordered_set<std::uint64_t> pictures{}, texts{};
};

void count_text(const std::string& text, const InspectOptions& options, Inspection& found,
                Counts& counts) {
  ++found.texts;
  counts.words.push_back(words_of(text));
  if (options.tokens) counts.tokens.push_back(options.tokens(text));
  found.same_texts += !counts.texts.insert(hash64(text)).second;
}

PictureFacts facts_with_retry(const Source& source, std::int64_t index, Sample& sample,
                              std::size_t picture) {
  try {
    return facts_of(sample.pictures[picture], sample.id);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    sample = source.read(index);  // its header is longer than what peek() gives
    return facts_of(sample.pictures[picture], sample.id);
  }
}

void count_sample(const Source& source, std::int64_t index, const InspectOptions& options,
                  Inspection& found, Counts& counts) {
  // A drawn picture has no header: it is drawn.
  Sample sample = source.is_drawn() ? source.read(index) : source.peek(index);
  for (std::size_t i = 0; i < sample.pictures.size(); ++i) {
    const std::uint64_t hash = hash_of(sample.pictures[i]);
    const PictureFacts facts = facts_with_retry(source, index, sample, i);
    ++found.pictures;
    ++found.encodings[facts.encoding];
    ++found.sizes[std::to_string(facts.width) + " x " + std::to_string(facts.height)];
    counts.widths.push_back(facts.width);
    counts.heights.push_back(facts.height);
    found.same_pictures += !counts.pictures.insert(hash).second;
  }
  const std::vector<std::string> texts = texts_of(sample);
  found.without_text += texts.empty();
  counts.texts_each.push_back(static_cast<std::int64_t>(texts.size()));
  for (const std::string& text : texts) count_text(text, options, found, counts);
}

ShownSample shown_sample(const Source& source, std::int64_t index, const InspectOptions& options) {
  ShownSample shown;
  shown.id = "sample " + std::to_string(index);
  try {
    const Sample sample = source.read(index);
    shown.id = sample.id;
    shown.texts = texts_of(sample);
    for (const Answer& answer : sample.answers) shown.texts.push_back("- " + answer.text);
    if (sample.pictures.empty()) return shown;
    const Picture& picture = sample.pictures[0];
    const PictureFacts facts = facts_of(picture, sample.id);
    shown.facts =
        std::to_string(facts.width) + " x " + std::to_string(facts.height) + ", " + facts.encoding;
    if (!picture.encoded.empty()) {
      shown.facts += ", " + std::to_string((picture.encoded.size() + 999) / 1000) + " kB";
      const int turned = vision::orientation(picture.encoded);
      if (turned != 1) shown.facts += ", EXIF orientation " + std::to_string(turned);
    }
    const vision::Image pixels = picture.encoded.empty()
                                     ? picture.pixels
                                     : vision::decode_upright(picture.encoded, sample.id);
    shown.picture_png = vision::encode_png(vision::thumbnail(pixels, thumbnail_side));
    if (options.view) {
      const vision::Image view =
          options.view(sample, Key(options.seed).fold("inspect").fold(std::uint64_t(index)));
      shown.view_png = vision::encode_png(vision::thumbnail(view, thumbnail_side));
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    shown.problem = error.what();
  }
  return shown;
}

}  // namespace

Spread spread_of(std::vector<std::int64_t> values) {
  Spread spread;
  if (values.empty()) return spread;
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (const std::int64_t value : values) sum += static_cast<double>(value);
  const std::size_t last = values.size() - 1;
  spread = {static_cast<std::int64_t>(values.size()),
            values.front(),
            values[last / 2],
            values[last * 95 / 100],
            values.back(),
            0};
  spread.mean = sum / static_cast<double>(values.size());
  return spread;
}

std::function<vision::Image(const Sample&, Key)> plain_view() {
  return [](const Sample& sample, Key key) {
    const Picture& picture = sample.pictures.at(0);
    const vision::ImageSettings settings;
    return vision::training_view(picture.encoded.empty()
                                     ? picture.pixels
                                     : vision::decode(picture.encoded, sample.id, settings),
                                 settings, {}, key);
  };
}

Inspection inspect(const std::string& name, const Source& source, const InspectOptions& options) {
  Inspection found;
  found.name = name;
  found.fingerprint = source.fingerprint();
  found.samples = source.size();
  found.findings = source.left_out();
  found.left_out = static_cast<std::int64_t>(found.findings.size());
  if (found.findings.size() > most_findings) found.findings.resize(most_findings);
  found.counted = options.counted > 0 ? std::min(options.counted, found.samples) : found.samples;
  Counts counts;
  for (std::int64_t i = 0; i < found.counted; ++i) {
    // i * samples / counted, without overflow for any size.
    const auto index =
        static_cast<std::int64_t>(static_cast<double>(found.samples) /
                                  static_cast<double>(found.counted) * static_cast<double>(i));
    try {
      count_sample(source, std::min(index, found.samples - 1), options, found, counts);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      ++found.bad;
      if (found.findings.size() < most_findings) {
        found.findings.push_back({error.where(), error.message()});
      }
    }
  }
  found.width = spread_of(std::move(counts.widths));
  found.height = spread_of(std::move(counts.heights));
  found.words = spread_of(std::move(counts.words));
  found.tokens = spread_of(std::move(counts.tokens));
  found.texts_each = spread_of(std::move(counts.texts_each));
  const std::int64_t shown = std::min(options.shown, found.samples);
  for (std::int64_t i = 0; i < shown; ++i) {
    const std::uint64_t index =
        permute(Key(options.seed).fold("shown"), std::uint64_t(i), std::uint64_t(found.samples));
    found.shown.push_back(shown_sample(source, static_cast<std::int64_t>(index), options));
  }
  return found;
}

}  // namespace tandem::data
