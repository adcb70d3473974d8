#include "data/noun_phrases.h"

#include <algorithm>
#include <unordered_set>

#include "tandem/text/words.h"

namespace tandem::data {
namespace {

class WordList {
 public:
  explicit WordList(std::string_view words) {
    std::size_t at = 0;
    while (at < words.size()) {
      const std::size_t end = std::min(words.find(' ', at), words.size());
      if (end > at) words_.insert(words.substr(at, end - at));
      at = end + 1;
    }
  }
  bool has(std::string_view word) const { return words_.contains(word); }

 private:
  std::unordered_set<std::string_view> words_{};
};

const WordList& determiners() {
  static const WordList list(
      "a an the this that these those some any each every no another its his her their my our your "
      "whose which what such all both either neither several many few");
  return list;
}

// Pronouns, prepositions, conjunctions, auxiliaries, question words, adverbs without -ly, verbs
// that are common in captions, contractions.
const WordList& cutting_words() {
  static const WordList list(
      "i you he she it we they me him us them who whom one's himself herself itself themselves "
      "someone something everyone everything anyone anything nothing there here "
      "of in on at by for with without from to into onto upon over under above below beneath "
      "between among amid through throughout across along around about against behind before after "
      "beside besides beyond near next toward towards within inside outside during until till "
      "since "
      "off up down out like unlike as than per via despite except including "
      "and or but nor so yet if because while although though when where whenever wherever whether "
      "how why unless "
      "is are was were be been being am has have had having do does did doing can could will would "
      "shall should may might must not n't 're 've 'll 'd 'm cannot isn't aren't wasn't don't "
      "doesn't it's there's that's he's she's they're you're i'm let's "
      "very too also just only even still again ever never always often sometimes now then soon "
      "together apart away back else almost quite rather well more most less least much "
      "stands sits lies holds wears walks runs plays looks shows rides eats drinks takes makes "
      "goes "
      "comes gets gives sees keeps lets puts leaves stays hangs jumps flies swims talks speaks "
      "smiles laughs waits watches works uses reads writes sings dances performs poses arrives "
      "attends celebrates visits sells buys opens closes moves carries pulls pushes throws catches "
      "hits kicks leads follows turns grows rises falls becomes seems appears features contains "
      "includes surrounds covers fills faces displays depicts represents enjoys prepares cooks "
      "serves helps tries wants needs loves likes knows thinks says tells asks calls meets joins "
      "wins loses beats scores drives parks travels crosses enters reaches passes climbs rests "
      "sleeps leans bends stretches raises lifts touches feeds feels found show stand sit hold "
      "wear "
      "walk play ride eat get go come make take see keep enjoy celebrate perform pose attend");
  return list;
}

// In -ing, and yet nouns, or modifiers of one.
const WordList& nouns_in_ing() {
  static const WordList list(
      "building buildings ceiling wedding evening morning painting king ring wing spring string "
      "swing thing things clothing railing earring wiring lighting living dining sing sling ping "
      "viking duckling pudding icing frosting stocking lightning housing parking meeting training "
      "drawing setting landing opening crossing interesting amazing stunning charming pudding "
      "sibling offspring siding roofing awning");
  return list;
}

// Verb forms that are not in -ed.
const WordList& participles() {
  static const WordList list(
      "worn held seen shown made taken built drawn written given set left cut put hung lit caught "
      "bought brought taught thrown grown blown flown known driven ridden eaten fallen frozen "
      "broken "
      "hidden sold told bound wound spread split shot sat stood lain laid done gone kept led lost "
      "paid sent won");
  return list;
}

// In -ly, and yet no adverbs.
const WordList& not_adverbs() {
  static const WordList list(
      "family butterfly dragonfly belly jelly fly lily ally rally assembly supply july italy "
      "lovely "
      "lonely friendly elderly early daily weekly curly ugly holy silly chilly wooly woolly ply "
      "monopoly anomaly doily bully trolley");
  return list;
}

const WordList& bare_modifiers() {
  static const WordList list(
      "one two three four five six seven eight nine ten hundred thousand first second third last "
      "next new old young big small large little great good bad nice beautiful pretty cute happy "
      "sad "
      "long short tall high low wide narrow thick thin hot cold warm cool wet dry clean dirty "
      "empty "
      "full open closed bright dark light heavy soft hard fresh other same different own black "
      "white "
      "red green blue yellow orange brown pink purple gray grey golden colorful colourful modern "
      "traditional ready able available popular famous various");
  return list;
}

struct CaptionWord {
  std::string text{};  // empty: punctuation
};

// Words in lower case, and one empty word for each punctuation mark between them.
std::vector<CaptionWord> words_of_caption(std::string_view caption) {
  const std::string text = text::lower_case(caption);
  std::vector<CaptionWord> words;
  std::string word;
  const auto end_word = [&] {
    while (word.ends_with('\'') || word.ends_with('-')) word.pop_back();
    if (!word.empty()) words.push_back({std::move(word)});
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (text.compare(i, 3, "\xe2\x80\x99") == 0) {  // the typographic apostrophe
      word += '\'';
      i += 2;
    } else if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80 ||
               byte == '\'' || (byte == '-' && !word.empty())) {
      word += text[i];
    } else {
      end_word();
      if (byte > ' ') words.push_back({});
    }
  }
  end_word();
  return words;
}

bool has_only_digits(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class PhraseFinder {
 public:
  explicit PhraseFinder(std::vector<CaptionWord> words) : words_(std::move(words)) {}

  std::vector<std::string> phrases() {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::string& word = words_[i].text;
      const bool determines = determiners().has(word);
      if (determines || cuts(i)) {
        end_phrase();
      } else if (!(phrase_.empty() && word == "'s")) {
        phrase_.push_back(word);
      }
      after_determiner_ = determines;
    }
    end_phrase();
    std::sort(found_.begin(), found_.end());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    return std::move(found_);
  }

 private:
  bool is_closed(std::size_t i) const {
    if (i >= words_.size() || words_[i].text.empty()) return true;
    const std::string& word = words_[i].text;
    return determiners().has(word) || cutting_words().has(word) || is_adverb(word);
  }

  static bool is_adverb(const std::string& word) {
    return word.size() > 3 && word.ends_with("ly") && !not_adverbs().has(word);
  }

  bool cuts(std::size_t i) const {
    if (is_closed(i)) return true;
    const std::string& word = words_[i].text;
    if (word.size() > 4 && word.ends_with("ing") && !nouns_in_ing().has(word)) {
      return !after_determiner_;
    }
    const bool may_be_verb = (word.size() > 3 && word.ends_with("ed") && !word.ends_with("eed")) ||
                             participles().has(word);
    return may_be_verb && is_closed(i + 1);
  }

  void end_phrase() {
    if (!phrase_.empty() && phrase_.back() == "'s") phrase_.pop_back();
    const bool names = std::any_of(phrase_.begin(), phrase_.end(), [](const std::string& word) {
      return !bare_modifiers().has(word) && !has_only_digits(word) && word != "'s";
    });
    if (names) {
      std::string joined;
      for (const std::string& word : phrase_) joined += (joined.empty() ? "" : " ") + word;
      found_.push_back(std::move(joined));
    }
    phrase_.clear();
  }

  std::vector<CaptionWord> words_;
  std::vector<std::string> phrase_{}, found_{};
  bool after_determiner_ = false;
};

}  // namespace

std::vector<std::string> noun_phrases(std::string_view caption) {
  return PhraseFinder(words_of_caption(caption)).phrases();
}

}  // namespace tandem::data
