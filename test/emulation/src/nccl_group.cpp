// Operations of the emulated NCCL: every rank sends the others what they need of its memory, and each does its own sums, in the order of
// ranks. Sends end when they are received, so that an order in which ranks wait for each other hangs here as it may there.
#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "emulation/run.hpp"
#include "memory.hpp"
#include "nccl.hpp"

namespace emulation {
namespace {

struct Buffer {
  std::vector<char> bytes;
  MPI_Request request = MPI_REQUEST_NULL;
};

template <class T>
void add(char* to, const char* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    T a, b;
    std::memcpy(&a, to + i * sizeof(T), sizeof(T)), std::memcpy(&b, from + i * sizeof(T), sizeof(T));
    a = static_cast<T>(a + b);
    std::memcpy(to + i * sizeof(T), &a, sizeof(T));
  }
}

void add(ncclDataType_t type, char* to, const char* from, std::size_t count) {
  switch (type) {
    case ncclFloat32:
      return add<float>(to, from, count);
    case ncclFloat64:
      return add<double>(to, from, count);
    case ncclInt32:
      return add<int>(to, from, count);
    case ncclInt64:
      return add<long long>(to, from, count);
    default:
      fail("a sum of this type is not emulated");
  }
}

/// A group on its way.
class Group {
 public:
  explicit Group(std::vector<Operation> operations) : operations_(std::move(operations)), comm_(*operations_.front().comm) {}

  bool step() {
    if (comm_.aborted) return true;
    if (!begun_) begin();
    if (failed() || comm_.hangs) return false;  // a GPU goes on waiting: somebody has to abort
    for (auto* buffers : {&out_, &in_})
      for (Buffer& buffer : *buffers) {
        int done = 1;
        if (buffer.request != MPI_REQUEST_NULL) MPI_Test(&buffer.request, &done, MPI_STATUS_IGNORE);
        if (!done) return false;
      }
    for (std::size_t i = 0; i < operations_.size(); ++i) finish(operations_[i], parts_[i]);
    return true;
  }

 private:
  bool failed() const { return comm_.error != ncclSuccess; }

  // What a rank needs of this one's memory; null: nothing.
  const char* outgoing(const Operation& op, int to) const {
    switch (op.call) {
      case Call::send:
        return to == op.peer ? op.from : nullptr;
      case Call::receive:
        return nullptr;
      case Call::broadcast:
        return comm_.rank == op.peer ? op.from : nullptr;
      case Call::reduce:
        return to == op.peer ? op.from : nullptr;
      case Call::reduce_scatter:
        return op.from + static_cast<std::size_t>(to) * op.count * bytes_of(op.type);
      default:
        return op.from;
    }
  }
  bool incoming(const Operation& op, int from) const {
    switch (op.call) {
      case Call::send:
        return false;
      case Call::receive:
      case Call::broadcast:
        return from == op.peer;
      case Call::reduce:
        return comm_.rank == op.peer;
      default:
        return true;
    }
  }

  void begin() {
    begun_ = true;
    if (++comm_.groups == comm_.fail_at) comm_.error = refuse(ncclRemoteError, "the error that STRATA_EMULATION_NCCL_ERROR asks for");
    if (comm_.groups == comm_.hang_at) comm_.hangs = true;
    if (failed() || comm_.hangs) return;
    std::deque<Buffer*> sent_to_myself;
    for (const Operation& op : operations_) {
      const std::size_t bytes = op.count * bytes_of(op.type);
      if (bytes > INT_MAX) fail("an operation of NCCL of more than 2 GiB is not emulated");
      for (int p = 0; p < comm_.ranks; ++p) {
        const char* const mine = outgoing(op, p);
        if (mine == nullptr) continue;
        Buffer& buffer = out_.emplace_back(Buffer{{mine, mine + bytes}});
        if (p == comm_.rank)
          sent_to_myself.push_back(&buffer);
        else
          MPI_Issend(buffer.bytes.data(), static_cast<int>(bytes), MPI_BYTE, world(p), comm_.tag, MPI_COMM_WORLD, &buffer.request);
      }
    }
    for (const Operation& op : operations_) {
      const std::size_t bytes = op.count * bytes_of(op.type);
      auto& parts = parts_.emplace_back(static_cast<std::size_t>(comm_.ranks), nullptr);
      for (int p = 0; p < comm_.ranks; ++p) {
        if (!incoming(op, p)) continue;
        Buffer*& part = parts[static_cast<std::size_t>(p)];
        if (p != comm_.rank) {
          part = &in_.emplace_back(Buffer{std::vector<char>(bytes)});
          MPI_Irecv(part->bytes.data(), static_cast<int>(bytes), MPI_BYTE, world(p), comm_.tag, MPI_COMM_WORLD, &part->request);
          continue;
        }
        if (sent_to_myself.empty()) fail("a receive of a NCCL group from its own rank has no send in it");
        part = sent_to_myself.front(), sent_to_myself.pop_front();
      }
    }
  }
  int world(int rank) const { return comm_.world[static_cast<std::size_t>(rank)]; }

  void finish(const Operation& op, const std::vector<Buffer*>& parts) const {
    const std::size_t bytes = op.count * bytes_of(op.type);
    const bool sums = op.call == Call::reduce || op.call == Call::all_reduce || op.call == Call::reduce_scatter;
    std::vector<char> sum;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (parts[p] == nullptr) continue;
      if (!sums)
        std::memcpy(op.to + (op.call == Call::all_gather ? p * bytes : 0), parts[p]->bytes.data(), bytes);
      else if (sum.empty())
        sum = parts[p]->bytes;
      else
        add(op.type, sum.data(), parts[p]->bytes.data(), op.count);
    }
    if (!sum.empty()) std::memcpy(op.to, sum.data(), bytes);
  }

  std::vector<Operation> operations_;
  ncclComm& comm_;
  bool begun_ = false;
  std::deque<Buffer> out_, in_;
  std::vector<std::vector<Buffer*>> parts_;  // of each operation: what came of each rank
};

int depth = 0;
std::vector<Operation> gathered;
ncclResult_t refused = ncclSuccess;  // something of the open group

ncclResult_t give(const std::vector<Operation>& operations) {
  auto group = std::make_shared<Group>(operations);
  const cudaError_t error = enqueue_steps("NCCL", operations.front().stream, [group] { return group->step(); });
  return error == cudaSuccess ? ncclSuccess : refuse(ncclUnhandledCudaError, cudaGetErrorString(error));
}

ncclResult_t end_group() {
  ncclResult_t result = ncclSuccess;
  const std::vector<Operation> all = std::exchange(gathered, {});
  if (refused != ncclSuccess) return std::exchange(refused, ncclSuccess);
  std::vector<ncclComm_t> comms;
  for (const Operation& op : all)
    if (std::find(comms.begin(), comms.end(), op.comm) == comms.end()) comms.push_back(op.comm);
  for (ncclComm_t comm : comms) {
    std::vector<Operation> its;
    for (const Operation& op : all)
      if (op.comm == comm) its.push_back(op);
    if (std::any_of(its.begin(), its.end(), [&](const Operation& op) { return op.stream != its[0].stream; }))
      fail("a NCCL group with two streams for one communicator: not emulated");
    if (comm->blocking) {
      if (const ncclResult_t given = give(its); given != ncclSuccess) return given;
      continue;
    }
    // The stream has it only when ncclCommGetAsyncError says so.
    comm->async = result = ncclInProgress;
    comm->meet = [comm, its] {
      comm->async = give(its);
      return true;
    };
  }
  return result;
}

ncclResult_t check(const Operation& op, std::size_t from_count, std::size_t to_count) {
  if (op.comm == nullptr || op.comm->aborted) return refuse(ncclInvalidArgument, "a communicator that is not there any more");
  if (op.comm->meet || op.comm->async == ncclInProgress) return refuse(ncclInvalidUsage, "the communicator is still in progress");
  if (op.comm->async != ncclSuccess) return op.comm->async;
  if (op.comm->error != ncclSuccess) return op.comm->error;
  if (op.peer < 0 || op.peer >= op.comm->ranks) return refuse(ncclInvalidArgument, "no such peer or root");
  const std::size_t element = bytes_of(op.type);
  if (element == 0) return refuse(ncclInvalidArgument, "a type that is not emulated");
  for (const auto& [memory, count] : {std::pair<const char*, std::size_t>{op.from, from_count}, {op.to, to_count}})
    if (count > 0 && !is_device_memory(memory, count * element)) return refuse(ncclInvalidArgument, "memory that is not the device's");
  return ncclSuccess;
}

ncclResult_t add_operation(const Operation& op, std::size_t from_count, std::size_t to_count) {
  if (const ncclResult_t result = check(op, from_count, to_count); result != ncclSuccess) {
    if (depth > 0) refused = result;
    return result;
  }
  gathered.push_back(op);
  return depth > 0 ? ncclSuccess : end_group();
}

}  // namespace

std::size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
    default:
      return 0;
  }
}

}  // namespace emulation

using namespace emulation;

bool emulation::in_nccl_group() {
  return depth > 0;
}

namespace {

ncclResult_t add_sum(const Operation& op, ncclRedOp_t sum, std::size_t from_count, std::size_t to_count) {
  if (sum != ncclSum) return refuse(ncclInvalidArgument, "only sums are emulated");
  return add_operation(op, from_count, to_count);
}
const char* in(const void* data) {
  return static_cast<const char*>(data);
}
char* out(void* data) {
  return static_cast<char*>(data);
}
std::size_t ranks_of(ncclComm_t comm) {
  return comm == nullptr ? 1 : static_cast<std::size_t>(comm->ranks);
}

}  // namespace

extern "C" {

ncclResult_t ncclGroupStart() {
  ++depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd: not in a group call.");
  return --depth > 0 ? ncclSuccess : end_group();
}
ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  return add_operation({Call::send, in(from), nullptr, count, type, peer, comm, stream}, count, 0);
}
ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  return add_operation({Call::receive, nullptr, out(to), count, type, peer, comm, stream}, 0, count);
}
ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root, ncclComm_t comm, cudaStream_t stream) {
  return add_operation({Call::broadcast, in(from), out(to), count, type, root, comm, stream}, comm && comm->rank == root ? count : 0,
                       count);
}
ncclResult_t ncclReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t sum, int root, ncclComm_t comm,
                        cudaStream_t stream) {
  return add_sum({Call::reduce, in(from), out(to), count, type, root, comm, stream}, sum, count, comm && comm->rank == root ? count : 0);
}
ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t sum, ncclComm_t comm,
                           cudaStream_t stream) {
  return add_sum({Call::all_reduce, in(from), out(to), count, type, 0, comm, stream}, sum, count, count);
}
ncclResult_t ncclReduceScatter(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t sum, ncclComm_t comm,
                               cudaStream_t stream) {
  return add_sum({Call::reduce_scatter, in(from), out(to), count, type, 0, comm, stream}, sum, count * ranks_of(comm), count);
}
ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream) {
  return add_operation({Call::all_gather, in(from), out(to), count, type, 0, comm, stream}, count, count * ranks_of(comm));
}

}  // extern "C"
