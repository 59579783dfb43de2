// Keys of [device]: kind, threads, graphs, the tuning file and the kernels of attention.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_device() {
  using C = DeviceConfig;
  Table<C> table("device", "What the ranks compute on.", &Settings::device);
  table.row("kind", &C::kind, Choice({{"auto", "cpu", "cuda"}}), "", "auto takes the best device this build and machine have.").launch();
  table
      .row("threads", &C::threads, Whole::between(1, 4096).word("auto", 0), "",
           "Threads per rank; auto: the cores of the host, shared among its ranks.")
      .launch();
  table
      .row("graphs", &C::graphs, Choice({{"auto", "on", "off"}}), "",
           "cuda: a micro-batch as one CUDA graph; auto: where it can be, on: or not at all (doc/cuda.md).")
      .launch();
  table.row("tuning", &C::tuning, Text(), "",
            "On cuda: tuning file of strata measure, which says the algorithms of products; empty: the first that cuBLASLt names. Another "
            "file is another order of sums: the last bits of the result.");
  table.row(
      "attention", &C::attention, Choice({{"own", "cudnn"}}), "",
      "On cuda: kernels of attention. cudnn: NVIDIA's, in bf16 and fp16, where the program was built with it (doc/cuda.md); strata measure "
      "says which are faster. Other kernels are other last bits of the result.");
  return table.done();
}

}  // namespace strata::deck
