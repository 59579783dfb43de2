// Bad input as a user meets it: every file a command reads, missing, cut short, with a flipped bit, hostile or of another run. Each ends
// with exit code 3, one message that names the file, and nothing under a final name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "commands/run_fixture.hpp"
#include "data/token_fixture.hpp"
#include "strata/io/safetensors.hpp"

namespace strata::test {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A trained run of two steps, exported as a Hugging Face folder too: sound files of every kind.
const RunFolder& files() {
  static const bool done = [] {
    const RunFolder& folder = RunFolder::get();
    for (const std::string& command : {std::string("train --run.folder=sound --train.max_steps=2 --train.validate_every=0"),
                                       std::string("convert --convert.from=sound/checkpoints --convert.to=hf --convert.dtype=fp32")}) {
      const std::size_t blank = command.find(' ');
      const CommandResult result = folder.strata(0, command.substr(0, blank), command.substr(blank + 1));
      if (result.status != 0) throw std::runtime_error(result.err);
    }
    return true;
  }();
  (void)done;
  return RunFolder::get();
}

std::string with_flipped_bit(std::string bytes, std::size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  return bytes;
}

/// What the command says when it ends with exit code 3; anything else says itself.
std::string refusal(const std::string& command, const std::string& options, int ranks = 0) {
  fs::remove_all(files() / "bad");
  const CommandResult result = files().strata(ranks, command, "--run.folder=bad " + options);
  const std::size_t first = result.err.find("error: ");
  EXPECT_EQ(result.err.find("error: ", first + 1), std::string::npos) << "one message:\n" << result.err;
  EXPECT_THAT(result.err, Not(HasSubstr("internal error")));
  return result.status == 3 ? result.err : "exit code " + std::to_string(result.status) + ":\n" + result.err;
}

TEST(BadFiles, TokenFile) {
  const std::string sound = read_file(files() / "train.h5");
  const auto with = [&](const std::string& bytes) {
    write_file(files() / "bad.h5", bytes);
    return refusal("train", "--data.train=bad.h5", 2);
  };
  EXPECT_THAT(refusal("train", "--data.train=gone.h5"), HasSubstr("gone.h5: cannot open the file: No such file or directory"));
  EXPECT_THAT(with(sound.substr(0, sound.size() / 2)), AllOf(HasSubstr("bad.h5"), HasSubstr("cut short")));
  EXPECT_THAT(with(with_flipped_bit(sound, 60)), AllOf(HasSubstr("bad.h5"), HasSubstr("checksum differs")));
  EXPECT_THAT(with(with_flipped_bit(sound, sound.find("tokenizer_hash") + 60)), HasSubstr("bad.h5"));
  EXPECT_THAT(with(""), HasSubstr("bad.h5: cannot be opened as an HDF5 file"));
}

TEST(BadFiles, AFlippedBitAmongTheTokens) {
  const fs::path path = files() / "bad.h5";
  const std::string sound = read_file(files() / "train.h5");
  const auto info = h5::File(files() / "train.h5").dataset("/tokens");
  write_file(path, with_flipped_bit(sound, static_cast<std::size_t>(info.offset + info.bytes() / 2)));
  EXPECT_THAT(refusal("train", "--data.train=bad.h5 --train.max_steps=2"),
              AllOf(HasSubstr("bad.h5: piece 0 of /tokens"), HasSubstr("is damaged")));
}

TEST(BadFiles, IdsBeyondTheVocabulary) {
  // In a token file whose checksums are right ...
  fs::remove(files() / "beyond.h5");
  std::vector<std::uint16_t> tokens(2000, 5);
  tokens[1234] = 319;
  TokenFileInfo info;
  info.vocabulary = 300;
  write_token_file(files() / "beyond.h5", tokens, {0, 2000}, info);
  EXPECT_THAT(refusal("train", "--data.train=beyond.h5 --train.max_steps=2"),
              HasSubstr("/tokens[1234] = 319 is no token: the file's vocabulary has 300"));
  // ... in one of a vocabulary larger than the model's ...
  fs::remove(files() / "larger.h5");
  info.vocabulary = 70000;
  make_token_file(files() / "larger.h5", {{1, 2, 66000}, std::vector<int>(1000, 3)}, "stream", 0, 70000);
  EXPECT_THAT(refusal("train", "--data.train=larger.h5 --train.max_steps=2"),
              AllOf(HasSubstr("larger.h5"), HasSubstr("token ids up to 69999"), HasSubstr("holds 320")));
  // ... and in ready-made ids.
  write_file(files() / "ids.jsonl", "{\"input_ids\": [1, 2]}\n{\"input_ids\": [3, 320]}\n");
  EXPECT_THAT(refusal("prepare",
                      "--tokenizer.train=false --prepare.format=ids --prepare.documents=file --prepare.input=ids.jsonl --prepare.split=0 "
                      "--prepare.validation_output= --prepare.output=ids.h5"),
              HasSubstr("ids.jsonl:2: input_ids[1] = 320: expected a token id from 0 to 319"));
  EXPECT_FALSE(fs::exists(files() / "ids.h5"));
}

TEST(BadFiles, ADatasetOfAnotherTokenizer) {
  const std::string model = read_file(files() / "tokenizer.model");
  const std::string prepare =
      "--tokenizer.path=other.model --tokenizer.kind=unigram --prepare.output=other.h5 --prepare.validation_output=other-v.h5";
  ASSERT_EQ(files().strata(0, "prepare", prepare).status, 0);
  EXPECT_THAT(refusal("train", "--data.train=other.h5"), AllOf(HasSubstr("other.h5"), HasSubstr("tokenizer")));
}

TEST(BadFiles, Safetensors) {
  const fs::path folder = files() / "hf-bad";
  fs::remove_all(folder);
  fs::copy(files() / "hf", folder);
  const std::string sound = read_file(folder / "model.safetensors");
  const auto with = [&](const std::string& bytes) {
    write_file(folder / "model.safetensors", bytes);
    return refusal("train", "--model.config=hf-bad --model.weights=hf-bad", 2);
  };
  EXPECT_THAT(with(sound.substr(0, sound.size() - 4)), AllOf(HasSubstr("hf-bad/model.safetensors"), HasSubstr("cut short")));
  EXPECT_THAT(with(sound.substr(0, 100)), AllOf(HasSubstr("hf-bad/model.safetensors"), HasSubstr("cut short")));
  EXPECT_THAT(with(with_flipped_bit(sound, 6)), HasSubstr("the header claims"));  // petabytes
  EXPECT_THAT(with(with_flipped_bit(sound, sound.find("\"F32\"") + 2)), HasSubstr("type"));
  EXPECT_THAT(with(with_flipped_bit(sound, sound.find("model.norm.weight") + 2)), HasSubstr("the weights lack model.norm.weight"));
  EXPECT_THAT(with(std::string(4096, '\0')), HasSubstr("hf-bad/model.safetensors: the header is expected to start with '{'"));
  fs::remove(folder / "model.safetensors");
  EXPECT_THAT(refusal("train", "--model.config=hf-bad --model.weights=hf-bad"), HasSubstr("hf-bad"));
  write_file(folder / "model.safetensors.index.json", "{\"weight_map\": {\"model.norm.weight\": \"../hf/model.safetensors\"}}");
  EXPECT_THAT(refusal("train", "--model.config=hf-bad --model.weights=hf-bad"),
              HasSubstr("'../hf/model.safetensors', which is not a plain file name"));
}

TEST(BadFiles, ModelConfig) {
  const std::string sound = read_file(files() / "config.json");
  const auto with = [&](const std::string& bytes) {
    write_file(files() / "bad.json", bytes);
    return refusal("train", "--model.config=bad.json");
  };
  EXPECT_THAT(refusal("train", "--model.config=gone.json"), HasSubstr("gone.json does not exist"));
  EXPECT_THAT(with(sound.substr(0, sound.size() / 2)), HasSubstr("bad.json: not a JSON file"));
  EXPECT_THAT(with(with_flipped_bit(sound, sound.find("hidden_size"))), HasSubstr("bad.json: hidden_size is missing"));
  EXPECT_THAT(with("{\"vocab_size\": 1, " + sound.substr(1)), HasSubstr("bad.json: has the key \"vocab_size\" twice"));
  EXPECT_THAT(with("{\"model_type\": " + std::string(2000000, '[')), HasSubstr("bad.json: is nested deeper than 32 levels"));
  std::string large = sound;
  large.replace(large.find("\"num_hidden_layers\": 2"), 22, "\"num_hidden_layers\": 2000000000");
  EXPECT_THAT(with(large), HasSubstr("bad.json: num_hidden_layers = 2000000000: expected at most 10000"));
}

TEST(BadFiles, Tokenizer) {
  const std::string sound = read_file(files() / "tokenizer.model");
  const auto with = [&](const std::string& bytes) {
    write_file(files() / "bad.model", bytes);
    return refusal("prepare", "--tokenizer.train=false --tokenizer.path=bad.model --prepare.output=never.h5", 2);
  };
  EXPECT_THAT(refusal("prepare", "--tokenizer.train=false --tokenizer.path=gone.model --prepare.output=never.h5"), HasSubstr("gone.model"));
  EXPECT_THAT(with(sound.substr(0, sound.size() / 2)), HasSubstr("bad.model"));
  EXPECT_THAT(with("no model at all"), HasSubstr("bad.model"));
  EXPECT_FALSE(fs::exists(files() / "never.h5"));
}

TEST(BadFiles, Checkpoint) {
  const std::string sound = read_file(files().checkpoint("sound", 2));
  const auto with = [&](const std::string& bytes) {
    write_file(files() / "bad-checkpoint.h5", bytes);
    return refusal("generate", "--generate.prompts=the --generate.checkpoint=bad-checkpoint.h5");
  };
  EXPECT_THAT(refusal("generate", "--generate.prompts=the --generate.checkpoint=gone.h5"), HasSubstr("gone.h5 does not exist"));
  EXPECT_THAT(with(sound.substr(0, sound.size() - 1)), AllOf(HasSubstr("bad-checkpoint.h5"), HasSubstr("cut short")));
  EXPECT_THAT(with(with_flipped_bit(sound, sound.size() / 2)),
              AllOf(HasSubstr("bad-checkpoint.h5"), HasSubstr("differ from their checksum")));
  EXPECT_THAT(with(with_flipped_bit(sound, 100)), AllOf(HasSubstr("bad-checkpoint.h5"), HasSubstr("checksum differs")));
  EXPECT_THAT(with(read_file(files() / "train.h5")), HasSubstr("bad-checkpoint.h5: this HDF5 file is not a Strata checkpoint"));
}

TEST(BadFiles, ACheckpointOfAnotherModel) {
  std::string config = read_file(files() / "config.json");
  config.replace(config.find("\"hidden_size\": 48"), 17, "\"hidden_size\": 64");
  write_file(files() / "wider.json", config);
  const std::string from = files().checkpoint("sound", 2).string();
  EXPECT_THAT(refusal("train", "--model.config=wider.json --model.weights=" + from, 2),
              AllOf(HasSubstr("step_000002.h5"), HasSubstr("model.embed_tokens.weight")));
}

TEST(BadFiles, InvalidUtf8) {
  write_file(files() / "latin1.txt", "plain\n%\ncaf\xe9 au lait\n%\nplain again, and again\n");
  const std::string options =
      "--tokenizer.train=false --prepare.input=latin1.txt --prepare.split=0 --prepare.validation_output= --prepare.output=latin1.h5 ";
  EXPECT_THAT(refusal("prepare", options, 2),
              AllOf(HasSubstr("latin1.txt:3: the text is not UTF-8: byte 11 of the file, 0xe9"), HasSubstr("prepare.invalid_utf8")));
  EXPECT_FALSE(fs::exists(files() / "latin1.h5"));

  const CommandResult replaced = files().strata(2, "prepare", options + "--prepare.invalid_utf8=replace");
  EXPECT_EQ(replaced.status, 0) << replaced.err;
  EXPECT_THAT(replaced.err, AllOf(HasSubstr("latin1.txt:3: "), HasSubstr("1 place was replaced by U+FFFD"), HasSubstr("in 1 documents"),
                                  HasSubstr("prepared 3 documents")));

  const CommandResult skipped = files().strata(2, "prepare", options + "--prepare.invalid_utf8=skip");
  EXPECT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_THAT(skipped.err, AllOf(HasSubstr("skipped 1 bad documents"), HasSubstr("prepared 2 documents")));

  write_file(files() / "prompts-latin1.txt", "the sailor\ncaf\xe9\n");
  EXPECT_THAT(refusal("generate", "--generate.checkpoint=sound --generate.prompts=prompts-latin1.txt"),
              HasSubstr("prompts-latin1.txt:2: the prompt is not UTF-8: byte 3 of the line, 0xe9"));
}

}  // namespace
}  // namespace strata::test
