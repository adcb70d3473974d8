#pragma once
// The noun phrases of an English caption, by lists and endings alone (no tagger): what the balance
// of concept_balance.h counts.
//
// A caption is cut at punctuation and at words that cannot stand in a simple noun phrase: articles
// and other determiners, pronouns, prepositions, conjunctions, auxiliaries, adverbs, verbs of a
// list. A word in -ing is a verb unless it is one of the common nouns (building) or follows a
// determiner (a swimming pool); a word in -ed, or a participle of a list, is one where no other
// word of the phrase follows (dressed in white; but a painted wall). What is left between the cuts
// is a phrase, in lower case, if it has a word that is neither a number nor one of the commonest
// adjectives.
//
// What spaCy does otherwise: it keeps articles (that split "a dog" and "the dog"), joins adjectives
// over "and" (black and white photo), finds any verb, and is right more often about words that are
// both (a man watches; two watches).

#include <string>
#include <string_view>
#include <vector>

namespace tandem::data {

// Each once, sorted by bytes.
std::vector<std::string> noun_phrases(std::string_view caption);

}  // namespace tandem::data
