// Shuffles, votes and reductions of a warp: the last lane to come computes for all.
#include "emulation/warp.hpp"

#include <algorithm>
#include <limits>

#include "emulation/run.hpp"
#include "emulation/threads.hpp"
#include "block.hpp"

namespace emulation {
namespace {

struct ShuffleOperands {
  Shuffle how;
  int operand, width;
  std::uint64_t value, result;
};

void complete_shuffle(void* const (&operands)[32], unsigned int mask) {
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) == 0) continue;
    auto& mine = *static_cast<ShuffleOperands*>(operands[lane]);
    const int first = lane / mine.width * mine.width, end = first + mine.width;
    int source = lane;
    switch (mine.how) {
      case Shuffle::index:
        source = first + (mine.operand & (mine.width - 1));
        break;
      case Shuffle::up:
        source = lane - mine.operand < first ? lane : lane - mine.operand;
        break;
      case Shuffle::down:
        source = lane + mine.operand >= end ? lane : lane + mine.operand;
        break;
      case Shuffle::exclusive:
        source = (lane ^ mine.operand) >= end ? lane : lane ^ mine.operand;
        break;
    }
    if ((mask >> source & 1u) == 0) {
      fail("lane " + std::to_string(lane) + " shuffles from lane " + std::to_string(source) + ", which its mask does not name");
    }
    mine.result = static_cast<const ShuffleOperands*>(operands[source])->value;
  }
}

struct Vote {
  unsigned value;
  unsigned result;
};

// Every lane's result is f(all lanes' values, the mask).
template <class F>
void complete_votes(void* const (&operands)[32], unsigned int mask, F result) {
  unsigned values[32] = {};
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) != 0) values[lane] = static_cast<const Vote*>(operands[lane])->value;
  }
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) != 0) static_cast<Vote*>(operands[lane])->result = result(values, mask, lane);
  }
}

template <class Fold>
unsigned fold(const unsigned (&values)[32], unsigned mask, Fold step) {
  bool first = true;
  unsigned sum = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) == 0) continue;
    sum = first ? values[lane] : step(sum, values[lane]);
    first = false;
  }
  return sum;
}

unsigned vote(const char* operation, unsigned mask, unsigned value, Complete complete) {
  Vote mine{value, 0};
  warp_collective(operation, mask, &mine, complete);
  return mine.result;
}

void complete_ballot(void* const (&operands)[32], unsigned int mask) {
  complete_votes(operands, mask, [](const unsigned(&values)[32], unsigned named, int) {
    unsigned bits = 0;
    for (int lane = 0; lane < 32; ++lane) bits |= (named >> lane & 1u) != 0 && values[lane] != 0 ? 1u << lane : 0u;
    return bits;
  });
}

template <class Step>
void complete_fold(void* const (&operands)[32], unsigned int mask) {
  complete_votes(operands, mask, [](const unsigned(&values)[32], unsigned named, int) { return fold(values, named, Step{}); });
}

struct Sum {
  unsigned operator()(unsigned a, unsigned b) const { return a + b; }
};
template <class T>
struct Least {
  unsigned operator()(unsigned a, unsigned b) const { return static_cast<T>(b) < static_cast<T>(a) ? b : a; }
};
template <class T>
struct Largest {
  unsigned operator()(unsigned a, unsigned b) const { return static_cast<T>(a) < static_cast<T>(b) ? b : a; }
};

}  // namespace

std::uint64_t shuffle(Shuffle how, unsigned int mask, std::uint64_t value, int operand, int width) {
  static constexpr const char* names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) fail("a shuffle's width is a power of two up to 32");
  ShuffleOperands mine{how, operand, width, value, 0};
  warp_collective(names[static_cast<int>(how)], mask, &mine, complete_shuffle);
  return mine.result;
}

}  // namespace emulation

using namespace emulation;

void __syncwarp(unsigned int mask) {
  int nothing = 0;
  warp_collective("__syncwarp", mask, &nothing, [](void* const(&)[32], unsigned int) {});
}
unsigned int __ballot_sync(unsigned int mask, int predicate) {
  return vote("__ballot_sync", mask, predicate != 0, complete_ballot);
}
int __all_sync(unsigned int mask, int predicate) {
  return vote("__all_sync", mask, predicate != 0, complete_ballot) == mask ? 1 : 0;
}
int __any_sync(unsigned int mask, int predicate) {
  return vote("__any_sync", mask, predicate != 0, complete_ballot) != 0 ? 1 : 0;
}
unsigned int __match_any_sync(unsigned int mask, unsigned int value) {
  return vote("__match_any_sync", mask, value, [](void* const(&operands)[32], unsigned int named) {
    complete_votes(operands, named, [](const unsigned(&values)[32], unsigned lanes, int self) {
      unsigned bits = 0;
      for (int lane = 0; lane < 32; ++lane) bits |= (lanes >> lane & 1u) != 0 && values[lane] == values[self] ? 1u << lane : 0u;
      return bits;
    });
  });
}
unsigned int __reduce_add_sync(unsigned int mask, unsigned int value) {
  return vote("__reduce_add_sync", mask, value, complete_fold<Sum>);
}
int __reduce_add_sync(unsigned int mask, int value) {
  return static_cast<int>(vote("__reduce_add_sync", mask, static_cast<unsigned>(value), complete_fold<Sum>));
}
unsigned int __reduce_min_sync(unsigned int mask, unsigned int value) {
  return vote("__reduce_min_sync", mask, value, complete_fold<Least<unsigned>>);
}
unsigned int __reduce_max_sync(unsigned int mask, unsigned int value) {
  return vote("__reduce_max_sync", mask, value, complete_fold<Largest<unsigned>>);
}
int __reduce_min_sync(unsigned int mask, int value) {
  return static_cast<int>(vote("__reduce_min_sync", mask, static_cast<unsigned>(value), complete_fold<Least<int>>));
}
int __reduce_max_sync(unsigned int mask, int value) {
  return static_cast<int>(vote("__reduce_max_sync", mask, static_cast<unsigned>(value), complete_fold<Largest<int>>));
}
