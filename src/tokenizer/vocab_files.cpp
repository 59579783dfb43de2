// Reads vocab.json + merges.txt: byte-level BPE in its older files.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/byte_bpe.hpp"
#include "tokenizer/json_text.hpp"
#include "tokenizer/vocabulary_reader.hpp"

namespace strata {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

constexpr const char* gpt2_end = "<|endoftext|>";

bool has_token(const ByteBpeParts& parts, const std::string& token) {
  return std::any_of(parts.vocabulary.begin(), parts.vocabulary.end(), [&](const auto& row) { return row.second == token; });
}

/// These files do not say how text is split, so the class in tokenizer_config.json does, else the model in config.json, else this rule:
/// GPT-2 keeps <|endoftext|> in its vocabulary, Qwen2 among the added tokens.
void choose_rule(const json& tokenizer_config, const json& model_config, const fs::path& beside, ByteBpeParts& parts) {
  std::string name = "", where;
  if (const json& type = member_or_null(tokenizer_config, "tokenizer_class"); type.is_string())
    name = type.get<std::string>(), where = (beside / "tokenizer_config.json").string();
  else if (const json& model = member_or_null(model_config, "model_type"); model.is_string())
    name = model.get<std::string>(), where = (beside / "config.json").string();
  else
    name = has_token(parts, gpt2_end) ? "gpt2" : "qwen2";
  const auto begins = [&](const char* start) { return name.rfind(start, 0) == 0; };
  if (begins("Qwen2") || begins("qwen2") || begins("Qwen3") || begins("qwen3")) {
    parts.rule = SplitRule::qwen2;
    parts.nfc = true;
  } else if (begins("GPT2") || begins("gpt2")) {
    parts.rule = SplitRule::gpt2;
  } else {
    throw DataError(text(where, ": names '", name,
                         "', and how that splits text is not known to Strata for vocab.json + merges.txt (GPT2 and Qwen2 ",
                         "are); a tokenizer.json says it itself"));
  }
}

void read_merges_file(const fs::path& path, ByteBpeParts& parts) {
  const std::string content = read_text(path), vocabulary_file = parts.source;
  parts.source = path.string();
  MergeReader reader(parts);
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t stop = std::min(content.find('\n', at), content.size());
    std::string line = content.substr(at, stop - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty() && line.rfind("#version", 0) != 0) reader.add_line(line);
    at = stop + 1;
  }
  if (parts.merges.empty()) throw DataError(text(path.string(), ": holds no merges"));
  parts.source = vocabulary_file;
}

}  // namespace

ByteBpeParts read_vocab_and_merges(const fs::path& vocab, const fs::path& merges, const fs::path& beside) {
  ByteBpeParts parts;
  parts.source = vocab.string();
  read_vocabulary(parse_json(read_text(vocab), vocab.string()), parts);
  read_merges_file(merges, parts);
  const json tokenizer_config = read_json_object_if_there(beside / "tokenizer_config.json");
  choose_rule(tokenizer_config, read_json_object_if_there(beside / "config.json"), beside, parts);
  if (member_or_null(tokenizer_config, "add_prefix_space") == json(true))
    throw DataError(text((beside / "tokenizer_config.json").string(), ": add_prefix_space = true is not known to Strata"));
  read_added_tokens(tokenizer_config, beside, parts);
  if (parts.rule == SplitRule::gpt2 && parts.added.empty())
    if (const auto end = id_of(parts, gpt2_end)) {
      parts.added.push_back({gpt2_end, *end, true, false});
      parts.eos = parts.bos = end;  // GPT2Tokenizer's own defaults; files beside may say otherwise
    }
  return parts;
}

}  // namespace strata
