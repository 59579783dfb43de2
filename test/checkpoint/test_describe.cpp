// What `strata inspect` says of a checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/describe.hpp"
#include "strata/checkpoint/writer.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using namespace strata::test;
using ::testing::HasSubstr;
using ::testing::Not;

class Describe : public ::testing::Test {
 protected:
  std::string write(const std::string& name, unsigned salt = 0) {
    Sample sample(0, 1, false, salt);
    write_checkpoint(*make_self_communicator(), folder_ / name, sample.tensors(), sample_run(), sample_launch(), false);
    return (folder_ / name).string();
  }
  TemporaryFolder folder_;
};

TEST_F(Describe, InWords) {
  const CheckpointReader reader(write("a.h5"));
  const std::string all = describe_checkpoint(reader, false);

  EXPECT_THAT(all, HasSubstr("model                   qwen3, 37584 parameters, computed in bf16\n"));  // 130*257 + 64*64 + 77 + 0 + 1
  EXPECT_THAT(all, HasSubstr("step                    500\n"));
  EXPECT_THAT(all, HasSubstr("epoch                   1.25 (16000 sequences, 8192000 tokens)\n"));
  EXPECT_THAT(all, HasSubstr("loss                    2.71828183, validation none\n"));
  EXPECT_THAT(all, HasSubstr("best                    2.5 at step 400\n"));
  EXPECT_THAT(all, HasSubstr("/optimizer exp_avg      1 tensors, 33410 elements"));
  EXPECT_THAT(all, HasSubstr("launch                  1 ranks x 2 threads, fsdp, node01, a processor\n"));
  EXPECT_THAT(all, Not(HasSubstr("[run]")));
  const std::string verbose = describe_checkpoint(reader, true);
  EXPECT_THAT(verbose, HasSubstr("  /model/model.layers.0.mlp.up_proj.weight  bf16 [130, 257]\n"));
  EXPECT_THAT(verbose, HasSubstr("[run]\nfolder"));
}

TEST_F(Describe, AsJson) {
  const CheckpointReader reader(write("a.h5"));
  const std::string json = describe_checkpoint_json(reader, true);

  EXPECT_THAT(json, HasSubstr("\"parameters\": 37584"));
  EXPECT_THAT(json, HasSubstr("\"step\": 500"));
  EXPECT_THAT(json, HasSubstr("\"loss\": 2.718281828459045"));
  EXPECT_THAT(json, HasSubstr("\"validation_loss\": null"));
  EXPECT_THAT(json, HasSubstr("\"seed\": 18364758544493064720"));
  EXPECT_THAT(json, HasSubstr("\"/optimizer remainder\""));
  EXPECT_THAT(json, HasSubstr("\"bytes\": 66820"));
}

TEST_F(Describe, ContentHashTellsContentsApart) {
  const CheckpointReader a(write("a.h5")), b(write("b.h5")), c(write("c.h5", 7));
  EXPECT_EQ(a.content_hash("/model"), b.content_hash("/model"));
  EXPECT_NE(a.content_hash("/model"), c.content_hash("/model"));
  EXPECT_NE(a.content_hash("/model"), a.content_hash("/optimizer"));
}

}  // namespace
