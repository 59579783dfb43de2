// Values of every kind: what is taken, what is refused with which words, whatever the locale.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <locale>

#include "deck/deck_fixture.hpp"

namespace {
using namespace strata;
using test::parse_text;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// The value of a key after `--key=value`, or what is wrong with it.
std::string taken(const std::string& key, const std::string& value) {
  try {
    return parse_text("", {"--" + key + "=" + value}).value(key);
  } catch (const DeckError& error) {
    const std::string message = error.what(), start = "command line: " + key + (message.find(" = ") == std::string::npos ? ": " : " = ");
    return message.rfind(start, 0) == 0 ? message.substr(start.size(), message.find('\n') - start.size()) : message;
  }
}

TEST(Values, WholeNumbersTakeSizes) {
  EXPECT_EQ(taken("train.max_steps", "12"), "12");
  EXPECT_EQ(taken("train.max_steps", "3k"), "3000");
  EXPECT_EQ(taken("train.max_steps", "3M"), "3000000");
  EXPECT_EQ(taken("train.max_steps", "3G"), "3000000000");
  EXPECT_EQ(taken("train.max_steps", "3Ki"), "3072");
  EXPECT_EQ(taken("train.max_steps", "3Mi"), "3145728");
  EXPECT_EQ(taken("train.max_steps", "3Gi"), "3221225472");
  EXPECT_EQ(taken("train.max_steps", "9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(taken("run.seed", "18446744073709551615"), "18446744073709551615");
}

TEST(Values, WhatIsNoWholeNumberIsRefused) {
  for (const auto* wrong : {"12.5", "5e4", "3K", "3 k", "1_000", "0x10", "+3", "-3", "three", "1.5M", "3kk", "", "\"\"", "k", "inf"}) {
    const std::string found = *wrong && std::string(wrong) != "\"\"" ? wrong : *wrong ? "\"\"" : "nothing";
    const std::string answer = taken("train.max_steps", wrong);
    EXPECT_THAT(answer, StartsWith("expected a whole number, at least 0")) << wrong;
    EXPECT_THAT(answer, HasSubstr(", found " + found)) << wrong;
  }
}

TEST(Values, OverflowIsRefused) {
  EXPECT_EQ(taken("train.max_steps", "9223372036854775808"),
            "expected a whole number, at least 0, found 9223372036854775808, which is too large");
  EXPECT_EQ(taken("train.max_steps", "99999999999999999999999"),
            "expected a whole number, at least 0, found 99999999999999999999999, which is too large");
  EXPECT_EQ(taken("run.seed", "18446744073709551616"),
            "expected a whole number, at least 0, found 18446744073709551616, which is too large");
  EXPECT_EQ(taken("run.seed", "18446744073709552k"), "expected a whole number, at least 0, found 18446744073709552k, which is too large");
}

TEST(Values, RangesAndWordsOfWholeNumbers) {
  EXPECT_EQ(taken("batch.micro", "0"), "expected a whole number, 1 to 1048576, found 0");
  EXPECT_EQ(taken("batch.micro", "2M"), "expected a whole number, 1 to 1048576, found 2M");
  EXPECT_EQ(taken("batch.micro", "1, 2"), "expected a whole number, 1 to 1048576, found 1, 2");
  EXPECT_EQ(taken("device.threads", "auto"), "auto");
  EXPECT_EQ(taken("device.threads", "0"), "expected a whole number, 1 to 4096, or auto, found 0");
  EXPECT_EQ(parse_text("", {"--schedule.stable_steps=0"}).settings().schedule.stable_steps, 0);
  EXPECT_EQ(parse_text("", {"--schedule.stable_steps=auto"}).settings().schedule.stable_steps, -1);
}

TEST(Values, RealNumbers) {
  EXPECT_EQ(parse_text("", {"--optimizer.lr=1e-4"}).settings().optimizer.lr, 1e-4);
  EXPECT_EQ(parse_text("", {"--optimizer.lr=0.1"}).settings().optimizer.lr, 0.1);
  EXPECT_EQ(parse_text("", {"--optimizer.lr=2"}).settings().optimizer.lr, 2.0);
  for (const auto* wrong : {"1,5", "1e", "nan", "inf", "1e999", "1e-999", "-1", "+1", "0x1p3", "1k", "", "5e-5 x"}) {
    EXPECT_THAT(taken("optimizer.lr", wrong), StartsWith("expected a number, at least 0, found ")) << wrong;
  }
  EXPECT_EQ(taken("generate.top_p", "0"), "expected a number, above 0 and at most 1, found 0");
  EXPECT_EQ(taken("generate.top_p", "1"), "1");
  EXPECT_EQ(taken("prepare.split", "1"), "expected a number, at least 0 and below 1, found 1");
  EXPECT_EQ(taken("schedule.min_lr", "none"), "none");
  EXPECT_EQ(taken("schedule.min_lr", "-1"), "expected a number, at least 0, or none, found -1");
}

/// Decimal comma and dots between thousands, as in German.
class CommaPoint : public std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(Values, TheLocaleDoesNotMatter) {
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new CommaPoint));
  EXPECT_EQ(taken("optimizer.lr", "0.5"), "0.5");
  EXPECT_THAT(taken("optimizer.lr", "0,5"), StartsWith("expected a number, at least 0, found 0, 5"));
  EXPECT_EQ(taken("train.max_steps", "12345"), "12345");
  EXPECT_EQ(taken("batch.micro", "0"), "expected a whole number, 1 to 1048576, found 0");
  std::locale::global(before);
}

TEST(Values, Betas) {
  EXPECT_EQ(taken("optimizer.betas", "0.9, 0.999"), "0.9, 0.999");
  for (const auto* wrong : {"0.9", "0.9, 1", "-0.1, 0.9", "0.9, 0.9, 0.9", "a, b", ""}) {
    EXPECT_THAT(taken("optimizer.betas", wrong), StartsWith("expected two numbers, each at least 0 and below 1, found ")) << wrong;
  }
}

TEST(Values, Flags) {
  for (const auto* yes : {"true", "on", "yes", "True", "ON"}) EXPECT_EQ(taken("checkpoint.verify", yes), "true");
  for (const auto* no : {"false", "off", "no", "False"}) EXPECT_EQ(taken("checkpoint.verify", no), "false");
  EXPECT_EQ(taken("checkpoint.verify", "1"), "expected true or false, found 1");
  EXPECT_EQ(taken("checkpoint.verify", ""), "expected true or false, found nothing");
}

TEST(Values, Times) {
  EXPECT_EQ(taken("parallel.timeout", "90"), "90s");
  EXPECT_EQ(taken("parallel.timeout", "90s"), "90s");
  EXPECT_EQ(taken("parallel.timeout", "1.5m"), "90s");
  EXPECT_EQ(taken("parallel.timeout", "2h"), "7200s");
  EXPECT_EQ(taken("parallel.timeout", "1d"), "86400s");
  for (const auto* wrong : {"0", "-1s", "1w", "s", "1ms", "1h30m", "", "1e308d", "nan", "inf"}) {
    EXPECT_THAT(taken("parallel.timeout", wrong), StartsWith("expected a time above 0, as in 90, 90s, 10m, 2h or 1d, found ")) << wrong;
  }
}

TEST(Values, AccumulationByEpoch) {
  EXPECT_EQ(taken("batch.accumulation", "4"), "4");
  EXPECT_EQ(taken("batch.accumulation", "0:4"), "4");
  EXPECT_EQ(taken("batch.accumulation", "0:8, 5:4,10:2"), "0:8, 5:4, 10:2");
  EXPECT_EQ(taken("batch.accumulation", "2:8"), "2:8");
  EXPECT_EQ(taken("batch.accumulation", "none"), "none");
  for (const auto* wrong : {"0", "0:0", "8, 4", "5:4, 0:8", "0:8, 0:4", "0:8:2", ":8", "0:", "a:b", "none, 4", "4G", ""}) {
    EXPECT_THAT(taken("batch.accumulation", wrong), StartsWith("expected a factor of at least 1, or epoch:factor")) << wrong;
  }
}

TEST(Values, ChoicesNameTheNearestWord) {
  EXPECT_EQ(taken("precision.compute", "FP32"), "expected fp32 | bf16 | fp16 | fp64, found FP32; nearest: fp32");
  EXPECT_EQ(taken("precision.compute", "int4"), "expected fp32 | bf16 | fp16 | fp64, found int4");
  EXPECT_EQ(taken("precision.compute", ""), "expected fp32 | bf16 | fp16 | fp64, found nothing");
  EXPECT_EQ(taken("schedule.kind", "warmupcosinelr").substr(0, 9), "expected ");
  EXPECT_THAT(taken("schedule.kind", "warmupcosinelr"), HasSubstr("nearest: WarmupCosineLR"));
}

TEST(Values, LossScalesArePowersOfTwo) {
  EXPECT_EQ(taken("precision.loss_scale", "none"), "none");
  EXPECT_EQ(taken("precision.loss_scale", "1024"), "1024");
  EXPECT_EQ(taken("precision.loss_scale", "1000"), "expected one text: dynamic, none, or a power of two from 1 to 2^40, found 1000");
  EXPECT_EQ(taken("precision.initial_scale", "4096"), "4096");
  EXPECT_THAT(taken("precision.initial_scale", "1000"), StartsWith("expected a number, a power of two, at least 1"));
  EXPECT_EQ(taken("precision.scale_backoff", "0.25"), "0.25");
  EXPECT_THAT(taken("precision.scale_backoff", "0.3"), StartsWith("expected a number, a power of two, above 0"));
  EXPECT_THAT(taken("precision.scale_backoff", "1"), StartsWith("expected a number, a power of two, above 0"));
}

TEST(Values, StrategiesHaveTheNamesOfOtherSystemsToo) {
  EXPECT_EQ(taken("parallel.strategy", "fsdp"), "fsdp");
  EXPECT_EQ(taken("parallel.strategy", "FULL_SHARD"), "fsdp");
  EXPECT_EQ(taken("parallel.strategy", "zero3"), "fsdp");
  EXPECT_EQ(taken("parallel.strategy", "SHARD_GRAD_OP"), "zero2");
  EXPECT_EQ(taken("parallel.strategy", "HYBRID_SHARD"), "hybrid");
}

TEST(Values, WhatThisVersionCannotDoIsRefusedByName) {
  EXPECT_EQ(taken("parallel.gradient_type", "bf16"), "bf16: not in this version (available: fp32)");
  EXPECT_EQ(taken("device.kind", "cuda"), "cuda");
  EXPECT_EQ(taken("prepare.format", "squad"), "squad");
  EXPECT_EQ(taken("parallel.offload", "none"), "none");
  EXPECT_EQ(taken("parallel.offload", "activations"), "activations");
  EXPECT_EQ(taken("parallel.offload", "optimizer, parameters"), "optimizer, parameters");
  EXPECT_EQ(taken("parallel.offload", "activation"),
            "expected none | optimizer | parameters | activations, found activation; nearest: activations");
  EXPECT_EQ(taken("parallel.offload", "activations, activations"), "expected each word once, found activations, activations");
  for (const char* mode : {"none", "selective", "full"}) EXPECT_EQ(taken("parallel.recompute", mode), mode);
  EXPECT_EQ(taken("parallel.recompute", "fully"), "expected none | selective | full, found fully; nearest: full");
  EXPECT_EQ(taken("parallel.offload", "none, none"), "none stands alone, not in a list");
}

TEST(Values, TextsWithRules) {
  EXPECT_EQ(taken("prepare.documents", "between:%"), "between:%");
  EXPECT_EQ(taken("prepare.documents", "between:"), "expected one text: file | line | blank_line | between:TEXT, found between:");
  EXPECT_EQ(taken("prepare.documents", "lines"), "expected one text: file | line | blank_line | between:TEXT, found lines");
  EXPECT_THAT(taken("checkpoint.name", "model"), HasSubstr("with {step}"));
  EXPECT_THAT(taken("checkpoint.name", "a/{step}"), HasSubstr("a plain file name"));
  EXPECT_EQ(taken("run.folder", ""), "expected one text: not empty, found nothing");
  EXPECT_EQ(taken("generate.stop", "a, \"\""), "expected texts that are not empty, found a, \"\"");
}

TEST(Values, ATextWithACommaInADeckNeedsQuotes) {
  EXPECT_THAT(test::parse_error("[generate]\nprompts = Hello, world\n"),
              HasSubstr("x.in:2: generate.prompts: expected one text, found 2 items; put a text with a comma in double quotes\n    prompts "
                        "= Hello, world\n"));
}

}  // namespace
