#include "comm/while_waiting.hpp"

#include <utility>
#include <vector>

namespace strata {
namespace {

std::vector<WhileWaiting*> alive;
int paused = 0;

}  // namespace

WhileWaiting::WhileWaiting(std::function<void()> move) : move_(std::move(move)) {
  alive.push_back(this);
}

WhileWaiting::~WhileWaiting() {
  std::erase(alive, this);
}

bool WhileWaiting::any() {
  return !alive.empty();
}

void WhileWaiting::move() {
  if (paused > 0) return;
  for (const WhileWaiting* one : alive) one->move_();
}

WhileWaiting::Paused::Paused() {
  ++paused;
}

WhileWaiting::Paused::~Paused() {
  --paused;
}

}  // namespace strata
