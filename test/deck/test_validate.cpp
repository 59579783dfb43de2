// Checks across keys: each finding with its place, and only what the command needs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deck/deck_fixture.hpp"

namespace {
using namespace strata;
using test::parse_text;
using ::testing::HasSubstr;

const char* const good =
    "[model]\nconfig = c\n[tokenizer]\npath = t.model\n[data]\ntrain = d\n[batch]\nglobal = 32\nmicro = 4\n[train]\nmax_steps = 100\n"
    "[prepare]\ninput = i\noutput = o\n[generate]\nprompts = p\n[evaluate]\ndata = d\n[convert]\nfrom = f\nto = t\n";

/// What validate says of the good deck with overrides, "no error" if nothing.
std::string findings(const std::vector<std::string>& overrides, const std::string& command = "train", std::int64_t ranks = 0) {
  const Deck deck = parse_text(good, overrides);
  return test::deck_error([&] { validate(deck, command, ranks); });
}

TEST(Validate, AGoodDeckServesEveryCommand) {
  for (const auto* command : {"prepare", "train", "check", "plan", "evaluate", "generate", "convert", "inspect", "keys"})
    EXPECT_EQ(findings({}, command), "no error");
}

TEST(Validate, OnlyWhatACommandNeedsIsDemanded) {
  const auto empty = [](const char* command) { return test::deck_error([&] { validate(Deck::parse({}), command); }); };
  EXPECT_EQ(empty("inspect"), "no error");
  EXPECT_EQ(
      empty("train"),
      "strata train: data.train is missing: Token file to train on, as prepare writes it; for question answering a feature file.\n"
      "strata train: model.config is missing: random weights need a config.json, or the folder that holds one\n"
      "strata train: batch.global is missing: sequences per optimizer step; or give batch.accumulation, and it is micro * "
      "accumulation * ranks\n"
      "strata train: train.max_steps is missing: a run needs an end; give it, or train.epochs, or both\n"
      "strata train: schedule.steps is missing: schedule.kind = cosine needs its length; give it, or train.max_steps or train.epochs\n"
      "5 mistakes in the deck or on the command line");
  for (const auto* key : {"prepare.input is missing", "prepare.output is missing", "tokenizer.path is missing"})
    EXPECT_THAT(empty("prepare"), HasSubstr(key));
  EXPECT_THAT(empty("prepare"), HasSubstr("3 mistakes"));
  for (const auto* key : {"generate.prompts is missing", "tokenizer.path is missing", "generate.checkpoint is missing"})
    EXPECT_THAT(empty("generate"), HasSubstr(key));
  for (const auto* key : {"evaluate.data is missing", "evaluate.checkpoint is missing"}) EXPECT_THAT(empty("evaluate"), HasSubstr(key));
  EXPECT_THAT(empty("evaluate"), HasSubstr("2 mistakes"));
  for (const auto* key : {"convert.from is missing", "convert.to is missing"}) EXPECT_THAT(empty("convert"), HasSubstr(key));
}

TEST(Validate, AnEmptyValueThatIsGivenIsNamedByItsPlace) {
  EXPECT_THAT(findings({"--data.train="}), HasSubstr("command line: data.train is missing"));
}

// What gather() tells, then what contradictions() finds besides, one message each.
std::vector<std::string> all_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  std::vector<DeckMistake> mistakes;
  const Deck deck = Deck::gather({{"x.in", text}}, overrides, mistakes);
  std::vector<std::string> messages;
  for (const DeckMistake& mistake : mistakes) messages.push_back(mistake.where + ": " + mistake.message);
  for (const DeckMistake& mistake : contradictions(deck, "check")) messages.push_back(mistake.where + ": " + mistake.message);
  return messages;
}

TEST(Gather, MistakesAndContradictionsComeTogether) {
  const auto all = all_of(good, {"--optimizer.lrr=1", "--schedule.warmup_steps=500", "--train.clip=much"});
  ASSERT_EQ(all.size(), 3u);
  EXPECT_THAT(all[0], HasSubstr("optimizer.lrr: unknown key"));
  EXPECT_THAT(all[1], HasSubstr("train.clip"));
  EXPECT_THAT(all[2], HasSubstr("schedule.warmup_steps = 500: longer than the whole schedule"));
}

TEST(Gather, WhatFollowsFromAMistakeIsNotToldAsAnother) {
  std::string text = good;
  text.replace(text.find("global"), 6, "gobal");
  EXPECT_EQ(all_of(text).size(), 1u) << "batch.global is missing only because it is misspelt";
  EXPECT_EQ(all_of(good, {"--batch.micro=three"}).size(), 1u);
  EXPECT_EQ(all_of(good, {"--batch.micro=5"}).size(), 1u);
  text = good;
  text.replace(text.find("[batch]"), 7, "[bacth]");
  EXPECT_EQ(all_of(text).size(), 1u) << "all of [batch] is missing only because it is misspelt";
}

TEST(Validate, BatchSizesFitTogether) {
  EXPECT_THAT(findings({"--batch.micro=5"}), HasSubstr("x.in:8: batch.global = 32: not a multiple of batch.micro = 5 (command line)"));
  EXPECT_THAT(findings({"--batch.block=3"}), HasSubstr("command line: batch.block = 3: no divisor of the 8 micro-batches of a step "
                                                       "(batch.global = 32 (x.in:8), batch.micro = 4 (x.in:9))"));
  EXPECT_EQ(findings({"--batch.block=4"}), "no error");
  EXPECT_EQ(findings({"--batch.micro=5"}, "generate"), "no error");
}

TEST(Validate, GlobalAndAccumulationMustAgree) {
  EXPECT_EQ(findings({"--batch.accumulation=4", "--batch.global=auto"}), "no error");
  EXPECT_EQ(findings({"--batch.accumulation=4"}), "no error");
  EXPECT_EQ(findings({"--batch.accumulation=4"}, "train", 2), "no error");
  EXPECT_THAT(findings({"--batch.accumulation=3"}),
              HasSubstr("contradicts batch.accumulation = 3 (command line): batch.micro = 4 times it make 12 per rank"));
  EXPECT_THAT(findings({"--batch.accumulation=4"}, "train", 3), HasSubstr("batch.micro = 4 times it on 3 ranks make 48; give one of them"));
  EXPECT_THAT(findings({"--batch.accumulation=0:8, 5:4"}), HasSubstr("which changes by epoch"));
}

TEST(Validate, TrainingNeedsAnEndAndValidationsToStopEarly) {
  EXPECT_THAT(findings({"--train.max_steps=0", "--schedule.kind=constant"}), HasSubstr("command line: train.max_steps is missing"));
  EXPECT_EQ(findings({"--train.max_steps=0", "--train.epochs=1", "--schedule.kind=constant"}), "no error");
  EXPECT_THAT(findings({"--train.early_stopping=3"}), HasSubstr("needs a validation set, and data.validation is empty"));
  EXPECT_THAT(findings({"--train.early_stopping=3", "--data.validation=v"}), HasSubstr("give train.validate_every"));
  EXPECT_EQ(findings({"--train.early_stopping=3", "--data.validation=v", "--train.validate_every=10"}), "no error");
  EXPECT_THAT(findings({"--data.validation=d"}), HasSubstr("the file that is trained on"));
}

TEST(Validate, SchedulesGetWhatTheyNeed) {
  const auto schedule = [](std::vector<std::string> keys) {
    for (auto& key : keys) key = "--schedule." + key;
    return findings(keys);
  };
  EXPECT_THAT(schedule({"kind=cosine_with_min_lr"}),
              HasSubstr("schedule.min_lr is missing: schedule.kind = cosine_with_min_lr needs it, or schedule.min_ratio"));
  EXPECT_EQ(schedule({"kind=cosine_with_min_lr", "min_ratio=0.1"}), "no error");
  EXPECT_EQ(schedule({"kind=cosine_with_min_lr", "min_lr=0"}), "no error");
  EXPECT_THAT(schedule({"kind=cosine_with_min_lr", "min_lr=0", "min_ratio=0"}),
              HasSubstr("given together with schedule.min_lr = 0 (command line)"));
  EXPECT_THAT(schedule({"kind=cosine_with_min_lr", "min_lr=1"}),
              HasSubstr("schedule.min_lr = 1: above the peak optimizer.lr = 5e-05 (default)"));
  EXPECT_THAT(schedule({"kind=warmup_stable_decay"}), HasSubstr("schedule.decay_steps is missing"));
  EXPECT_EQ(schedule({"kind=warmup_stable_decay", "decay_steps=90", "warmup_steps=10"}), "no error");
  EXPECT_THAT(schedule({"kind=warmup_stable_decay", "decay_steps=91", "warmup_steps=10"}),
              HasSubstr("too long behind schedule.warmup_steps = 10"));
  EXPECT_EQ(schedule({"kind=warmup_stable_decay", "stable_steps=50", "steps=80", "decay_steps=30", "warmup_steps=10"}),
            "command line: schedule.steps = 80: not the sum of schedule.warmup_steps = 10 (command line), schedule.stable_steps = 50 "
            "(command line) and "
            "schedule.decay_steps = 30 (command line); leave one of them out\n1 mistake in the deck or on the command line");
  EXPECT_THAT(
      schedule({"warmup_steps=101"}),
      HasSubstr("schedule.warmup_steps = 101: longer than the whole schedule, train.max_steps = 100 (x.in:11); schedule.steps sets"));
  EXPECT_EQ(schedule({"warmup_steps=101", "steps=101"}), "no error");
  EXPECT_EQ(schedule({"warmup_steps=101", "kind=constant"}), "no error");
  EXPECT_THAT(schedule({"min_lr=0"}), HasSubstr("the kind cosine has no use for it (used by cosine_with_min_lr, WarmupLR, WarmupDecayLR)"));
  EXPECT_THAT(schedule({"kind=linear", "cycles=1"}), HasSubstr("schedule.cycles = 1: the kind linear has no use for it"));
  EXPECT_THAT(schedule({"kind=WarmupLR", "warmup_type=cosine"}), HasSubstr("the kind WarmupLR takes log or linear"));
  EXPECT_EQ(schedule({"kind=WarmupCosineLR", "min_ratio=0", "warmup_min_ratio=0.1", "warmup_type=linear"}), "no error");
}

TEST(Validate, PrepareAndTokenizer) {
  const auto prepare = [](const std::vector<std::string>& overrides) { return findings(overrides, "prepare"); };
  EXPECT_EQ(prepare({"--tokenizer.train=true"}), "no error");
  EXPECT_THAT(prepare({"--tokenizer.train=true", "--tokenizer.path=folder"}), HasSubstr("expected a name ending in .model"));
  EXPECT_THAT(prepare({"--tokenizer.path="}), HasSubstr("tokenizer.path is missing: the tokenizer of the text"));
  EXPECT_EQ(prepare({"--tokenizer.path=", "--prepare.format=ids"}), "no error");
  EXPECT_THAT(prepare({"--tokenizer.train=true", "--prepare.format=ids"}), HasSubstr("there is no text to train on"));
  EXPECT_THAT(prepare({"--prepare.documents=line", "--prepare.format=jsonl"}), HasSubstr("a line is a document"));
  EXPECT_THAT(prepare({"--prepare.validation_output=v"}), HasSubstr("nothing goes there with prepare.split = 0 (default)"));
  EXPECT_THAT(prepare({"--prepare.validation_output=o", "--prepare.split=0.1"}), HasSubstr("the file of prepare.output"));
  EXPECT_THAT(prepare({"--prepare.pack=concat", "--prepare.separator=none"}), HasSubstr("expected eos, bos or a token"));
}

TEST(Validate, ConvertNeedsTwoPlaces) {
  EXPECT_THAT(findings({"--convert.to=f"}, "convert"), HasSubstr("the same as convert.from = f"));
}

TEST(Validate, AnEffectiveDeckValidatesAgain) {
  const Deck deck = parse_text(good, {"--schedule.kind=WarmupCosineLR", "--generate.checkpoint=c"});
  const Deck again = Deck::parse({{"effective.deck", deck.echo()}});
  for (const auto* command : {"prepare", "train", "evaluate", "generate", "convert"}) {
    EXPECT_EQ(test::deck_error([&] { validate(again, command); }), "no error") << command;
  }
}

}  // namespace
