#include <algorithm>

#include "tandem/base/error.h"
#include "tandem/data/source.h"
#include "tandem/text/chat.h"

namespace tandem::data {

std::vector<std::string> texts_of(const Sample& sample) {
  std::vector<std::string> texts = sample.texts;
  if (!sample.question.empty() && sample.turns.empty()) texts.push_back(sample.question);
  for (const auto* turns : {&sample.turns, &sample.rejected}) {
    for (const Turn& turn : *turns) {
      for (const text::Part& part : turn.parts) {
        if (!part.text.empty()) texts.push_back(part.text);
      }
    }
  }
  return texts;
}

std::vector<std::string> captions_of(const Source& source, std::int64_t samples) {
  std::vector<std::string> captions;
  bool dialogues = false;
  const std::int64_t size = source.size(), count = std::min(size, samples);
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      // (size / count) * i without overflow for any size.
      const auto index = static_cast<std::int64_t>(
          static_cast<double>(size) / static_cast<double>(count) * static_cast<double>(i));
      const Sample one = source.peek(std::min(index, size - 1));
      dialogues = dialogues || !one.turns.empty();
      for (std::string& text : texts_of(one)) captions.push_back(std::move(text));
      for (const Answer& answer : one.answers) captions.push_back(answer.text);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;  // a bad sample is recorded when it is trained on
    }
  }
  // Twice, as a vocabulary takes what comes twice or more: behind all words of the data.
  for (int i = 0; i < 2 && dialogues; ++i) {
    for (std::string& phrase : text::chat_phrases()) captions.push_back(std::move(phrase));
  }
  return captions;
}

}  // namespace tandem::data
