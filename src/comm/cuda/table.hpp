#pragma once
// What the CUDA half offers to communication: NCCL, where it was found at build.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "strata/device/gpu.hpp"

namespace strata::cuda {

struct LinkId {
  char bytes[128];
};

/// One of the operations that the GPUs of a group do together.
struct LinkOp {
  enum Kind { send, receive, all_reduce, reduce_scatter, reduce } kind;
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t count = 0;    // elements; of reduce_scatter: that a rank gets
  DType type = DType::f32;  // sends and receives are of bytes, whatever it is
  int peer = 0;             // or who gets a reduce
};

/// A NCCL communicator with a stream of its own, for one thread (but for abort()). Every rank gives it the same sequence of groups. Errors,
/// those of other ranks too, are CommError; NCCL's part is aborted then, and every later call throws.
class GpuLink {
 public:
  /// Ends it; where groups are under way, by abort.
  virtual ~GpuLink() = default;
  /// Whether the ranks have found each other. Every rank asks again and again.
  virtual bool ready() = 0;
  /// Marks what the GPU's queue holds now. To be named in one launch().
  virtual void* mark() = 0;
  /// Gives a group to the stream, behind the marks. Returns its number. Does not wait.
  virtual std::uint64_t launch(std::vector<LinkOp> group, std::vector<void*> after) = 0;
  /// Whether a group is done; moves things on.
  virtual bool done(std::uint64_t group) = 0;
  /// Gives up what is under way, so that no kernel waits in the GPU for a rank that is lost; as after an error, every later call throws.
  /// From any thread; where another is inside for longer than two seconds, nothing is done.
  virtual void abort() = 0;
};

struct CollectiveTable {
  /// Which GPU this is, among all that a host has: "0000:1b:00.0".
  std::string (*name)(Gpu& gpu) = nullptr;
  /// "NCCL 2.28.9"; empty: built without it, and the rest is null.
  std::string (*version)() = nullptr;
  void (*new_id)(LinkId& id) = nullptr;
  /// Begins to find the other ranks, to which one has given the id.
  GpuLink* (*open)(Gpu& gpu, const LinkId& id, int rank, int ranks) = nullptr;
};

/// The table of the loaded CUDA half.
inline const CollectiveTable& collectives() {
  return *static_cast<const CollectiveTable*>(cuda_half().collectives);
}

}  // namespace strata::cuda
