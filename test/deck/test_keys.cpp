// The key table: complete rows, and what `strata keys` and doc/deck.md show of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "deck/deck_fixture.hpp"
#include "deck/schema.hpp"
#include "deck/text_tools.hpp"
#include "strata/deck/keys.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using ::testing::HasSubstr;

TEST(Keys, EveryRowIsComplete) {
  std::set<std::string> names;
  for (const auto& section : deck::schema()) {
    EXPECT_FALSE(section.sentence.empty()) << section.name;
    for (const auto& key : section.keys) {
      SCOPED_TRACE(key.full_name());
      EXPECT_TRUE(names.insert(key.full_name()).second);
      for (const auto& old : key.old_names) EXPECT_TRUE(names.insert(key.section + "." + old).second) << old;
      EXPECT_FALSE(key.sentence.empty());
      EXPECT_EQ(key.sentence.back(), '.');
      EXPECT_FALSE(key.form.type.empty());
    }
  }
}

TEST(Keys, EveryDefaultIsAValueTheKeyTakes) {
  const Settings defaults;
  for (const auto& section : deck::schema()) {
    for (const auto& key : section.keys) {
      deck::Items items;
      ASSERT_EQ(deck::split_value(key.get(defaults), {}, test::small_environment, items), "");
      Settings settings;
      EXPECT_EQ(key.set(settings, items), "") << key.full_name();
      EXPECT_EQ(key.get(settings), key.get(defaults)) << key.full_name();
    }
  }
}

/// interface.md, "Decks": names that batch scripts and sites rely on.
TEST(Keys, NamesOfTheContractExist) {
  const char* names =
      "run.folder run.seed run.resume run.progress model.config model.weights tokenizer.path tokenizer.train tokenizer.kind "
      "tokenizer.vocabulary "
      "data.train data.validation data.sequence data.shuffle data.mask_documents batch.global batch.micro batch.block batch.accumulation "
      "train.max_steps train.epochs train.validate_every train.early_stopping train.min_delta train.log_every train.clip train.loss "
      "optimizer.kind optimizer.lr optimizer.betas optimizer.eps optimizer.weight_decay optimizer.decay "
      "schedule.kind schedule.warmup_steps schedule.steps schedule.min_lr schedule.min_ratio schedule.warmup_min_ratio "
      "schedule.warmup_type "
      "schedule.decay_steps schedule.stable_steps schedule.cycles precision.compute precision.loss_scale "
      "parallel.strategy parallel.group parallel.node parallel.prefetch parallel.bucket parallel.reduction parallel.recompute "
      "parallel.offload "
      "parallel.gradient_type parallel.timeout device.kind "
      "device.threads "
      "checkpoint.every checkpoint.keep checkpoint.keep_best checkpoint.asynchronous checkpoint.verify checkpoint.name "
      "prepare.input prepare.format prepare.documents prepare.field prepare.output prepare.split prepare.separator prepare.normalise "
      "prepare.on_error "
      "prepare.vocabulary evaluate.checkpoint evaluate.data evaluate.output generate.checkpoint generate.prompts generate.max_new_tokens "
      "generate.temperature generate.top_k generate.top_p generate.min_p generate.repetition_penalty generate.stop generate.batch "
      "convert.from convert.to convert.dtype";
  std::istringstream list(names);
  for (std::string name; list >> name;) EXPECT_NE(deck::find_key(name), nullptr) << name;
}

TEST(Keys, TextOfOneSectionAndOneKey) {
  const std::string one = keys_text("optimizer.betas");
  EXPECT_EQ(one,
            "[optimizer]  How a gradient becomes an update (semantics S3).\n"
            "  betas = 0.9, 0.95\n"
            "      two numbers, each at least 0 and below 1\n"
            "      Decay of the first and of the second moment.\n");
  EXPECT_THAT(keys_text("optimizer"), HasSubstr("  lr = 5e-05\n      number, at least 0\n      Peak learning rate.\n"));
  EXPECT_THAT(keys_text("parallel"), HasSubstr("Not in this version: bf16."));
  for (const auto& section : deck::section_names()) EXPECT_THAT(keys_text(), HasSubstr("[" + section + "]"));
}

TEST(Keys, UnknownNamesGiveTheNearest) {
  EXPECT_THAT(test::deck_error([] { keys_text("optimiser"); }),
              HasSubstr("there is no section [optimiser]; nearest: optimizer; the sections: run, model,"));
  EXPECT_THAT(test::deck_error([] { keys_json("optimizer.lrr"); }),
              HasSubstr("there is no key optimizer.lrr; nearest: optimizer.lr; the keys of [optimizer]: kind, lr,"));
}

TEST(Keys, JsonHoldsEveryKey) {
  const auto all = nlohmann::json::parse(keys_json());
  std::size_t count = 0;
  for (const auto& section : deck::schema()) count += section.keys.size();
  ASSERT_EQ(all.size(), count);
  const auto seed = nlohmann::json::parse(keys_json("run.seed")).at(0);
  EXPECT_EQ(seed["section"], "run");
  EXPECT_EQ(seed["name"], "seed");
  EXPECT_EQ(seed["type"], "whole number");
  EXPECT_EQ(seed["default"], "42");
  EXPECT_EQ(seed["decides_result"], true);
}

TEST(Keys, ThePageIsFresh) {
  EXPECT_EQ(test::read_file(test::source_dir() / "doc" / "deck.md"), keys_markdown())
      << "doc/deck.md is stale: strata keys --markdown > doc/deck.md";
}

TEST(Keys, EditDistanceAndNearest) {
  EXPECT_EQ(deck::edit_distance("", "abc"), 3u);
  EXPECT_EQ(deck::edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(deck::edit_distance("form", "from"), 1u);
  EXPECT_EQ(deck::edit_distance("FP32", "fp32"), 0u);
  EXPECT_EQ(deck::nearest("weigth_decay", {"eps", "weight_decay", "decay"}), "weight_decay");
  EXPECT_EQ(deck::nearest("qq", {"lr", "eps"}), "");
  EXPECT_EQ(deck::nearest("completely_else", {"lr", "eps"}), "");
}

TEST(Keys, LinesInMessagesAreSafeToPrint) {
  EXPECT_EQ(deck::printable("a\x1b[31m\tb"), "a?[31m b");
  const std::string shown = deck::printable(std::string(159, 'a') + "\xC3\xBC and more");
  EXPECT_EQ(shown, std::string(159, 'a') + " ...");
}

}  // namespace
