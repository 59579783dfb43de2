// Decks as a whole: every section reaches its struct, precedence, places, line ends, old names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deck/deck_fixture.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using test::parse_error;
using test::parse_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Deck, AnEmptyDeckIsTheDefaults) {
  const Deck deck = Deck::parse({});
  EXPECT_EQ(deck.settings().run.seed, 42u);
  EXPECT_EQ(deck.settings().optimizer.lr, 5e-5);
  EXPECT_EQ(deck.where("run.seed"), "default");
  EXPECT_FALSE(deck.given("run.seed"));
}

TEST(Deck, ValuesReachTheStructsOfTheRooms) {
  const Deck deck = parse_text(
      "[run]\nfolder = runs/a\nseed = 7\n[model]\nconfig = m\nweights = "
      "w\n[tokenizer]\npath=t\ntrain=yes\nkind=bpe\n[data]\nsequence=1Ki\nshuffle = off\n"
      "[prepare]\ninput = a, \"b, c\"\ndocuments = between:%\nsplit = 0.05\n[batch]\nglobal=16\nmicro=4\naccumulation = 0:8, 5:4, 10:2\n"
      "[train]\nmax_steps = 10k\n[optimizer]\nlr=1e-4\nbetas = 0.8, 0.99\n[schedule]\nkind = WarmupLR\nmin_lr = "
      "1e-6\n[precision]\ncompute=fp64\n"
      "[parallel]\nstrategy = NO_SHARD\ntimeout = 10m\n[device]\nthreads = 3\n[checkpoint]\nname = s{step}\n[evaluate]\ndata = d\n"
      "[generate]\nstop = \"\\n\\n\", \"##\" # two\ntop_k = 5\n[convert]\nfrom = a\nto = b\ndtype = fp32\n");
  const Settings& s = deck.settings();
  EXPECT_EQ(s.run.folder, "runs/a");
  EXPECT_EQ(s.run.seed, 7u);
  EXPECT_EQ(s.model.config + s.model.weights + s.tokenizer.path, "mwt");
  EXPECT_TRUE(s.tokenizer.train);
  EXPECT_EQ(s.tokenizer.kind, "bpe");
  EXPECT_EQ(s.data.sequence, 1024);
  EXPECT_FALSE(s.data.shuffle);
  EXPECT_THAT(s.prepare.input, ElementsAre("a", "b, c"));
  EXPECT_EQ(s.prepare.documents, "between:%");
  EXPECT_EQ(s.prepare.split, 0.05);
  EXPECT_EQ(s.batch.global, 16);
  EXPECT_EQ(s.batch.micro, 4);
  EXPECT_THAT(s.batch.accumulation, ElementsAre(Pair(0, 8), Pair(5, 4), Pair(10, 2)));
  EXPECT_EQ(s.train.max_steps, 10000);
  EXPECT_EQ(s.optimizer.lr, 1e-4);
  EXPECT_EQ(s.optimizer.beta1, 0.8);
  EXPECT_EQ(s.optimizer.beta2, 0.99);
  EXPECT_EQ(s.schedule.kind, "WarmupLR");
  EXPECT_EQ(s.schedule.min_lr, 1e-6);
  EXPECT_EQ(s.precision.compute, "fp64");
  EXPECT_EQ(s.parallel.strategy, "ddp");
  EXPECT_EQ(s.parallel.timeout, 600);
  EXPECT_EQ(s.device.threads, 3);
  EXPECT_EQ(s.checkpoint.name, "s{step}");
  EXPECT_EQ(s.evaluate.data, "d");
  EXPECT_THAT(s.generate.stop, ElementsAre("\n\n", "##"));
  EXPECT_EQ(s.generate.top_k, 5);
  EXPECT_EQ(s.convert.from + s.convert.to + s.convert.dtype, "abfp32");
}

TEST(Deck, LaterDecksWinAndTheCommandLineWinsOverAll) {
  const std::vector<DeckSource> decks = {{"a.in", "[run]\nseed = 1\nfolder = a\n[train]\nmax_steps = 1\n"},
                                         {"b.in", "\n[run]\nseed = 2\nfolder = b\n"}};

  const Deck deck = Deck::parse(decks, {"--run.seed=3", "--run.seed=4", "train.clip=0.5"});

  EXPECT_EQ(deck.settings().run.seed, 4u);
  EXPECT_EQ(deck.where("run.seed"), "command line");
  EXPECT_EQ(deck.settings().run.folder, "b");
  EXPECT_EQ(deck.where("run.folder"), "b.in:4");
  EXPECT_EQ(deck.settings().train.max_steps, 1);
  EXPECT_EQ(deck.where("train.max_steps"), "a.in:5");
  EXPECT_EQ(deck.settings().train.clip, 0.5);
  EXPECT_TRUE(deck.given("train.clip"));
}

TEST(Deck, CommandLineTextsKeepCommasAndHashes) {
  const Deck deck = parse_text(
      "", {"--generate.prompts=Hello, world # 1", "--generate.stop=a, \"b, c\", #", "--prepare.documents=between:#", "--data.validation="});
  EXPECT_EQ(deck.settings().generate.prompts, "Hello, world # 1");
  EXPECT_THAT(deck.settings().generate.stop, ElementsAre("a", "b, c", "#"));
  EXPECT_EQ(deck.settings().prepare.documents, "between:#");
  EXPECT_EQ(deck.settings().data.validation, "");
}

TEST(Deck, WindowsLineEndsAndByteOrderMarkDoNotMatter) {
  const Deck deck = parse_text("\xEF\xBB\xBF[run]\r\nseed = 5\r\n\r\n[data]\r\ntrain = \"a b\"\r\n");
  EXPECT_EQ(deck.settings().run.seed, 5u);
  EXPECT_EQ(deck.settings().data.train, "a b");
  EXPECT_EQ(deck.where("data.train"), "x.in:5");
}

TEST(Deck, ASectionMayComeAgainAndTheLastLineNeedsNoEnd) {
  const Deck deck = parse_text("[ run ] # first\nseed=1\n[data]\n[run]\nfolder=f");
  EXPECT_EQ(deck.settings().run.folder, "f");
  EXPECT_THAT(parse_error("[run]\nseed=1\n[data]\n[run]\nseed=2"), HasSubstr("x.in:5: run.seed is given twice; first at x.in:2"));
}

TEST(Deck, OldNamesWarnAndCountAsTheSameKey) {
  const Deck deck =
      parse_text("[schedule]\ncosine_min_ratio = 0.25\nwarmup_num_steps = 10\ntotal_num_steps = 100\n", {"--schedule.cos_min_ratio=0.5"});
  EXPECT_EQ(deck.settings().schedule.min_ratio, 0.5);
  EXPECT_EQ(deck.settings().schedule.warmup_steps, 10);
  EXPECT_EQ(deck.settings().schedule.steps, 100);
  EXPECT_THAT(deck.warnings(), ElementsAre("x.in:2: schedule.cosine_min_ratio is an old name; it is schedule.min_ratio now",
                                           "x.in:3: schedule.warmup_num_steps is an old name; it is schedule.warmup_steps now",
                                           "x.in:4: schedule.total_num_steps is an old name; it is schedule.steps now",
                                           "command line: schedule.cos_min_ratio is an old name; it is schedule.min_ratio now"));
  EXPECT_THAT(parse_error("[schedule]\nmin_ratio=0.1\ncosine_min_ratio=0.1\n"),
              HasSubstr("x.in:3: schedule.min_ratio is given twice; first at x.in:2"));
}

TEST(Deck, CommandLineMistakesAreGatheredWithTheOthers) {
  const std::string message =
      parse_error("[run]\nsed = 1\n", {"--run", "--optimizer.lrr=1", "--optimiser.lr=1", "--optimizer.lr=fast", "--run.folder=\"x"});
  EXPECT_EQ(message,
            "x.in:2: run.sed: unknown key; nearest: run.seed\n    sed = 1\n"
            "command line: expected --section.key=value\n    --run\n"
            "command line: optimizer.lrr: unknown key; nearest: optimizer.lr\n    --optimizer.lrr=1\n"
            "command line: [optimiser]: unknown section; nearest: [optimizer]\n    --optimiser.lr=1\n"
            "command line: optimizer.lr: expected a number, at least 0, found fast\n    --optimizer.lr=fast\n"
            "command line: run.folder: the closing double quote is missing\n    --run.folder=\"x\n"
            "6 mistakes in the deck or on the command line");
}

TEST(Deck, AMistakeCountsEvenWhereALaterValueWins) {
  EXPECT_THAT(parse_error("[run]\nseed = x\n", {"--run.seed=1"}), HasSubstr("x.in:2: run.seed: expected a whole number"));
}

TEST(Deck, ABinaryFileGivesOneMessage) {
  EXPECT_EQ(parse_error(std::string("\x89HDF\r\n\x1a\n\0\0\n\n", 12)),
            "x.in: not text: expected UTF-8, found zero bytes (a binary file, or text saved as UTF-16)\n1 mistake in the deck or "
            "on the command line");
}

TEST(Deck, FilesThatCannotBeReadAreUsageErrors) {
  EXPECT_THAT(test::deck_error([] { read_deck_file("no/such.in"); }), HasSubstr("no/such.in"));
  EXPECT_THAT(test::deck_error([] { read_deck_file("/tmp"); }), HasSubstr("/tmp: expected a deck, found a folder"));
  const test::TemporaryFolder folder;
  test::write_file(folder / "a b.in", "[run]\nseed = 9\n");
  const DeckSource source = read_deck_file(folder / "a b.in");
  EXPECT_EQ(source.name, (folder / "a b.in").string());
  EXPECT_EQ(Deck::parse({source}).settings().run.seed, 9u);
}

TEST(Deck, DamagedDecksGiveDeckErrorsOnly) {
  const std::string sound = test::read_file(test::source_dir() / "input" / "quickstart.in"), awkward = "\"\\#,=[]${}\n\r\t .-9e\xff";
  std::uint64_t state = 1;
  const auto draw = [&state](std::size_t below) {
    return (state = state * 6364136223846793005u + 1442695040888963407u, (state >> 33) % below);
  };
  for (int trial = 0; trial < 3000; ++trial) {
    std::string damaged = sound;
    for (std::size_t i = draw(6); i < 6; ++i) damaged[draw(damaged.size())] = awkward[draw(awkward.size())];
    const std::string outcome = parse_error(damaged);
    ASSERT_EQ(outcome.find("another class of error"), std::string::npos) << outcome;
  }
}

TEST(Deck, AskingForAKeyThatDoesNotExistIsADefect) {
  EXPECT_THROW(Deck::parse({}).where("run.nothing"), InternalError);
  EXPECT_THROW(Deck::parse({}).value("schedule.cosine_min_ratio"), InternalError);
}

}  // namespace
