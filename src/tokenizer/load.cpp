// Finds out what a path holds and loads it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/byte_bpe.hpp"
#include "tokenizer/json_text.hpp"
#include "tokenizer/sentencepiece_model.hpp"
#include "tokenizer/wordpiece.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

using Loaded = std::unique_ptr<Tokenizer>;

Loaded finish_byte_bpe(ByteBpeParts parts, const fs::path& beside) {
  read_end_and_begin(beside, parts);
  return std::make_unique<ByteBpeTokenizer>(parts);
}

Loaded finish_wordpiece(WordPieceParts parts, const fs::path& beside) {
  read_end_and_begin(beside, parts);
  return std::make_unique<WordPieceTokenizer>(parts);
}

Loaded load_vocab_lines(const fs::path& vocab) {
  return finish_wordpiece(read_vocab_lines(vocab, vocab.parent_path()), vocab.parent_path());
}

Loaded load_vocab(const fs::path& vocab, const fs::path& beside) {
  const fs::path merges = vocab.parent_path() / "merges.txt";
  if (!fs::exists(merges)) throw DataError(text(vocab.string(), ": merges.txt is expected beside it, and there is none"));
  return finish_byte_bpe(read_vocab_and_merges(vocab, merges, beside), beside);
}

Loaded load_sentencepiece(const fs::path& path) {
  return std::make_unique<SentencePieceTokenizer>(read_text(path), path.string());
}

/// A tokenizer.json has a "model" object; a vocab.json has tokens and ids only.
Loaded load_json(const fs::path& path) {
  if (path.filename() == "vocab.json") return load_vocab(path, path.parent_path());
  const nlohmann::json root = parse_json(read_text(path), path.string());
  const fs::path beside = path.parent_path();
  if (is_wordpiece_json(root)) return finish_wordpiece(read_wordpiece_json(root, path.string(), beside), beside);
  return finish_byte_bpe(read_tokenizer_json(root, path.string()), beside);
}

/// Whether a tokenizer.json describes byte-level BPE. Folders of Llama and Mistral also hold one that describes their sentencepiece model.
bool is_byte_level(const fs::path& tokenizer_json) {
  const nlohmann::json root = read_json_object_if_there(tokenizer_json);
  return member_or_null(member_or_null(root, "decoder"), "type") == nlohmann::json("ByteLevel");
}

std::vector<fs::path> model_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() == ".model") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

Loaded load_folder(const fs::path& folder) {
  const fs::path json = folder / "tokenizer.json", vocab = folder / "vocab.json", model = folder / "tokenizer.model";
  if (fs::exists(json) && (!fs::exists(model) || is_byte_level(json))) return load_json(json);
  if (fs::exists(model)) return load_sentencepiece(model);
  if (fs::exists(vocab)) return load_vocab(vocab, folder);
  if (fs::exists(folder / "vocab.txt")) return load_vocab_lines(folder / "vocab.txt");
  const std::vector<fs::path> models = model_files(folder);
  if (models.size() == 1) return load_sentencepiece(models[0]);
  if (models.size() > 1)
    throw DataError(text(folder.string(), ": holds ", models.size(), " sentencepiece models; name one, such as ", models[0].string()));
  const fs::path above = fs::absolute(folder / "").parent_path().parent_path() / "vocab.json";
  if (fs::exists(folder / "tokenizer_config.json") && fs::exists(above)) return load_vocab(above, folder);
  throw DataError(
      text(folder.string(),
           ": holds no tokenizer: tokenizer.json, vocab.json with merges.txt, vocab.txt, or a sentencepiece .model is expected"));
}

Loaded load_file(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".json") return load_json(path);
  if (path.filename() == "merges.txt") throw DataError(text(path.string(), ": are merges; name the vocab.json beside it, or their folder"));
  if (extension == ".txt") return load_vocab_lines(path);
  return load_sentencepiece(path);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path) {
  if (path.empty()) throw DataError("no tokenizer is named: set tokenizer.path");
  if (!fs::exists(path))
    throw DataError(text(path.string(),
                         ": there is no such file or folder; tokenizer.path names a tokenizer.json, a vocab.json, a vocab.txt, "
                         "a sentencepiece .model, or a folder that holds one"));
  return fs::is_directory(path) ? load_folder(path) : load_file(path);
}

}  // namespace strata
