// What `strata inspect` says about a token file.
#include <nlohmann/json.hpp>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/data/token_file.hpp"

namespace strata {
namespace {

std::string separator_text(const TokenFileInfo& info) {
  if (info.separator_id < 0) return "none";
  return text(info.separator, " (id ", info.separator_id, ") ", info.separator_place, " each document");
}

std::string packing_text(const TokenFileInfo& info) {
  if (info.pack == "stream") return "stream (one long run of tokens)";
  std::string result = text(info.pack, ", ", info.tokens / info.sequence, " sequences of ", info.sequence, " tokens");
  if (info.pack == "concat") result += info.wrap ? ", documents go on in the next sequence" : ", the rest of a cut document dropped";
  return result;
}

}  // namespace

std::string describe_token_file(const TokenFileReader& file) {
  const TokenFileInfo& info = file.info();
  std::string result = text(file.path().string(), ": token file, version ", info.version, "\n");
  const auto line = [&](const char* name, const std::string& value) {
    result += text("  ", name, std::string(14 - std::string(name).size(), ' '), value, "\n");
  };
  line("tokens", text(info.tokens, " (", info.separator_tokens, " separators, ", info.padding_tokens, " padding), stored as ",
                      info.vocabulary <= 65536 ? "u16" : "u32"));
  line("documents", text(info.documents, info.pack == "documents" ? " pieces" : ""));
  line("part", info.split > 0 ? text(info.part, " (split ", info.split, " by seed ", info.split_seed, ")") : info.part);
  line("vocabulary", text(info.vocabulary));
  line("tokenizer", info.tokenizer_hash.empty() ? "none: the ids came ready-made"
                                                : text(info.tokenizer_kind, " ", info.tokenizer_name, ", hash ", info.tokenizer_hash));
  line("separator", separator_text(info));
  line("packing", packing_text(info));
  line("made from", text(info.format, ", a document by ", info.documents_by, ", normalised: ", info.normalise,
                         info.truncate > 0 ? text(", cut at ", info.truncate, " tokens") : ""));
  line("hash", file.hash());
  for (const SourceFile& source : info.sources)
    line("source", text(source.name, ", ", bytes_text(static_cast<double>(source.bytes)), ", ", source.hash));
  return result;
}

std::string token_file_json(const TokenFileReader& file) {
  const TokenFileInfo& info = file.info();
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  for (const SourceFile& source : info.sources) sources.push_back({{"name", source.name}, {"bytes", source.bytes}, {"hash", source.hash}});
  const nlohmann::ordered_json json{
      {"kind", "tokens"},
      {"path", file.path().string()},
      {"version", info.version},
      {"tokens", info.tokens},
      {"documents", info.documents},
      {"separator_tokens", info.separator_tokens},
      {"padding_tokens", info.padding_tokens},
      {"part", info.part},
      {"split", info.split},
      {"split_seed", info.split_seed},
      {"vocabulary", info.vocabulary},
      {"tokenizer", {{"kind", info.tokenizer_kind}, {"name", info.tokenizer_name}, {"hash", info.tokenizer_hash}}},
      {"separator", {{"text", info.separator}, {"id", info.separator_id}, {"place", info.separator_place}}},
      {"pack", info.pack},
      {"wrap", info.wrap},
      {"sequence", info.sequence},
      {"padding_id", info.padding_id},
      {"truncate", info.truncate},
      {"format", info.format},
      {"documents_by", info.documents_by},
      {"normalise", info.normalise},
      {"hash", file.hash()},
      {"sources", std::move(sources)}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace strata
