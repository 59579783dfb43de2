#pragma once
// A communicator around another: everything that a class does not do itself is the inner one's, and counted with it.
#include <cstdlib>
#include <utility>

#include "strata/comm/communicator.hpp"

namespace strata {

class ForwardingCommunicator : public Communicator {
 public:
  explicit ForwardingCommunicator(std::unique_ptr<Communicator> inner) : Communicator(inner.get()), inner_(std::move(inner)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  int local_size() const override { return inner_->local_size(); }
  int local_rank() const override { return inner_->local_rank(); }
  std::string host() const override { return inner_->host(); }
  std::string host_of(int rank) const override { return inner_->host_of(rank); }
  bool same_host(int rank) const override { return inner_->same_host(rank); }
  void barrier() override { inner_->barrier(); }
  std::int64_t all_sum(std::int64_t value) override { return inner_->all_sum(value); }
  std::int64_t all_max(std::int64_t value) override { return inner_->all_max(value); }
  std::int64_t all_min(std::int64_t value) override { return inner_->all_min(value); }
  void tell(int peer, int value) override { inner_->tell(peer, value); }
  std::optional<int> heard() override { return inner_->heard(); }
  std::int64_t all_max_while(std::int64_t value, const std::function<void()>& meanwhile) override {
    return inner_->all_max_while(value, meanwhile);
  }
  [[noreturn]] void abort(int exit_code) override {
    inner_->abort(exit_code);
    std::_Exit(exit_code);
  }

 protected:
  std::unique_ptr<Communicator> inner_;
};

}  // namespace strata
