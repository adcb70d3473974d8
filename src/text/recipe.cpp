// As released: the tokenizer.json of CLIP, GPT-2, Qwen2 and BERT (uncased).

#include "text/recipe.h"

namespace tandem::text {

const Recipe kClipRecipe = {
    {"<|startoftext|>", "<|endoftext|>"},
    R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}]})",
    R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"},"behavior":"Removed","invert":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})",
    R"({"type":"RobertaProcessing","sep":["<|endoftext|>",@<|endoftext|>@],"cls":["<|startoftext|>",@<|startoftext|>@],"trim_offsets":false,"add_prefix_space":false})",
    R"({"type":"Sequence","decoders":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},{"type":"Replace","pattern":{"String":"</w>"},"content":" "},{"type":"Strip","content":" ","start":0,"stop":1}]})"};

const Recipe kGpt2Recipe = {
    {"<|endoftext|>"},
    "null",
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})",
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true})",
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})"};

const Recipe kQwen2Recipe = {
    {"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
    R"({"type":"NFC"})",
    R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]})",
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false})",
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false})"};

const Recipe kBertRecipe = {
    {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
    R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true})",
    R"({"type":"BertPreTokenizer"})",
    R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}},{"Sequence":{"id":"B","type_id":1}},{"SpecialToken":{"id":"[SEP]","type_id":1}}],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[@[CLS]@],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[@[SEP]@],"tokens":["[SEP]"]}}})",
    R"({"type":"WordPiece","prefix":"##","cleanup":true})"};

}  // namespace tandem::text
