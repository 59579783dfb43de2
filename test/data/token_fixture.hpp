#pragma once
// Token files for tests: made by prepare from ids, or written as they could not come from it.
#include <string>
#include <vector>

#include "data/token_writer.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/data/prepare.hpp"
#include "support/support.hpp"

namespace strata::test {

/// A token file of these documents; no separator unless given.
inline void make_token_file(const std::filesystem::path& path, const std::vector<std::vector<int>>& documents,
                            const std::string& pack = "stream", std::int64_t sequence = 0, std::int64_t vocabulary = 1000,
                            const std::string& separator = "none") {
  std::string lines;
  for (const auto& document : documents) {
    std::string ids;
    for (const int id : document) ids += (ids.empty() ? "" : ",") + std::to_string(id);
    lines += "{\"input_ids\": [" + ids + "]}\n";
  }
  const std::filesystem::path input = path.string() + ".jsonl";
  write_file(input, lines);
  PrepareConfig config;
  config.input = {input.string()}, config.output = path.string(), config.format = "ids", config.pack = pack, config.sequence = sequence,
  config.vocabulary = vocabulary, config.separator = separator;
  const auto comm = make_self_communicator();
  prepare(*comm, config, {}, {});
}

/// A token file with these contents, checksums right, whatever they say.
inline void write_token_file(const std::filesystem::path& path, const std::vector<std::uint16_t>& tokens,
                             const std::vector<std::int64_t>& documents, TokenFileInfo info = {}) {
  info.tokens = static_cast<std::int64_t>(tokens.size()), info.documents = static_cast<std::int64_t>(documents.size()) - 1;
  info.vocabulary = info.vocabulary > 0 ? info.vocabulary : 100;
  info.sources = {{"by hand", 0, ""}};
  const auto comm = make_self_communicator();
  data::TokenWriter writer(*comm, path, info);
  writer.write("tokens", 0, info.tokens, tokens.data());
  writer.write("documents", 0, info.documents + 1, documents.data());
  writer.finish(0);
  writer.commit();
}

}  // namespace strata::test
