#pragma once
// What tests of `prepare` on texts share.
#include "data/fake_tokenizer.hpp"
#include "strata/data/prepare.hpp"
#include "support/ranks_test.hpp"

namespace strata::test {

/// in.txt, a document a line, into `output` in the ranks' folder.
class PrepareTest : public RanksTest {
 protected:
  explicit PrepareTest(const std::string& output) {
    config_.input = {(root_ / "in.txt").string()};
    config_.output = (root_ / output).string();
    config_.documents = "line";
    tools_.tokenizer = &tokenizer_, tools_.tokenizer_name = "fake";
  }
  PrepareSummary run() { return prepare(*comm_, config_, data_, tools_); }

  FakeTokenizer tokenizer_;
  PrepareConfig config_;
  DataConfig data_;
  PrepareTools tools_;
};

}  // namespace strata::test
