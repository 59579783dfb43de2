// Blocks: reading rounds of them, and turning one into ids.
#include "data/block.hpp"

#include <algorithm>
#include <new>

#include "data/document.hpp"

namespace strata::data {
namespace {

constexpr std::size_t block_bytes = 128 << 10, block_records = 4096;
constexpr std::int64_t blocks_per_rank = 128;  // in one round: enough for many threads, about 16 MiB of text
constexpr std::size_t most_noted = 20;

/// Reads one block; keeps its records if wanted. Returns false if there was nothing left.
bool read_block(RecordReader& reader, Block* keep) {
  Record record;
  std::size_t bytes = 0, count = 0;
  while (bytes < block_bytes && count < block_records && reader.next(record)) {
    bytes += record.bytes.size(), ++count;
    if (keep) keep->records.push_back(std::move(record));
  }
  return count > 0;
}

std::vector<std::uint32_t> ids_of(const Record& record, const std::string& file, const IdRules& rules, std::int64_t& text_bytes,
                                  std::string& note) {
  if (rules.config->format == "ids") return document_ids(record, file, *rules.config, rules.vocabulary, &note);
  const std::string document = document_text(record, file, *rules.config, &note);
  text_bytes = static_cast<std::int64_t>(document.size());
  std::vector<std::uint32_t> ids = rules.tokenizer->encode(document);
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (static_cast<std::int64_t>(ids[i]) >= rules.vocabulary)
      throw DataError(text(file, ":", record.line, ": token ", i, " of the document has id ", ids[i],
                           ", but the tokenizer's vocabulary has ", rules.vocabulary));
  return ids;
}

void append(const Record& record, const std::string& file, const IdRules& rules, BlockIds& to) {
  std::int64_t text_bytes = 0;
  std::string note;
  const std::vector<std::uint32_t> ids = ids_of(record, file, rules, text_bytes, note);
  const std::int64_t truncate = rules.config->truncate;
  const std::size_t kept = truncate > 0 ? std::min(ids.size(), static_cast<std::size_t>(truncate)) : ids.size();
  if (kept >= UINT32_MAX)
    throw DataError(text(file, ":", record.line, ": a document of ", kept, " tokens: at most ", UINT32_MAX - 1, " are possible"));
  const std::size_t side = rules.split->is_validation(record.number) ? 1 : 0;
  std::vector<std::uint32_t>& out = to.ids[side];
  const bool has_separator = rules.separator_id >= 0;
  const auto separator = static_cast<std::uint32_t>(rules.separator_id);
  if (has_separator && rules.separator_before) out.push_back(separator);
  out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept));
  if (has_separator && !rules.separator_before) out.push_back(separator);
  to.lengths[side].push_back(static_cast<std::uint32_t>(kept + (has_separator ? 1 : 0)));
  to.text_bytes += text_bytes;
  if (!note.empty()) ++to.repaired_count;
  if (!note.empty() && to.noted.size() < most_noted) to.noted.push_back({record.number, note});
}

}  // namespace

Failure current_failure(std::int64_t record) {
  try {
    throw;
  } catch (const Error& error) {
    return {record, error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {record, ExitCode::capacity, "out of memory"};
  } catch (const std::exception& error) {
    return {record, ExitCode::internal, error.what()};
  }
}

Wave read_wave(RecordReader& reader, int rank, int ranks) {
  Wave wave;
  for (std::int64_t i = 0; i < blocks_per_rank * ranks && !wave.last && !wave.failure; ++i) {
    Block block;
    const bool mine = i % ranks == rank;
    try {
      wave.last = !read_block(reader, mine ? &block : nullptr);
    } catch (...) {
      wave.failure = current_failure(reader.next_number());  // the documents before it are kept: the first error may be among them
    }
    if (!wave.last) ++wave.block_count;
    if (mine && !block.records.empty()) wave.blocks.push_back(std::move(block));
  }
  return wave;
}

BlockIds make_ids(const Block& block, const RecordReader& reader, const IdRules& rules) {
  BlockIds result;
  for (const Record& record : block.records) try {
      append(record, reader.files()[record.file].string(), rules, result);
    } catch (const DataError& error) {
      if (!skips(*rules.config, error)) {
        result.failure = current_failure(record.number);
        break;
      }
      ++result.skipped_count;
      if (result.noted.size() < most_noted) result.noted.push_back({record.number, error.what()});
    } catch (...) {
      result.failure = current_failure(record.number);
      break;
    }
  return result;
}

}  // namespace strata::data
