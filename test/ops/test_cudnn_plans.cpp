// Plans of the real cuDNN for GPUs that are not here: that it takes the graphs that attention_cudnn.cu gives it, with gradients whose bits
// repeat, and that they fit into the workspace that is foreseen. cuDNN compiles its kernels for the described GPU; nothing runs.
#include <gtest/gtest.h>

#include "ops/cuda/attention_cudnn.cu"

namespace strata::cuda {

// Of a file with kernels; no plan is executed here.
void set_lengths(Stream&, int*, std::int64_t, std::int64_t) {
  throw InternalError("a test without a GPU runs nothing");
}

namespace {

struct Described {
  const char* name;
  int version, processors;
  std::int64_t shared, memory, cache;
};
constexpr Described h200{"NVIDIA H200", 900, 132, 232448, std::int64_t{150} << 30, 52428800},
    a100{"NVIDIA A100-SXM4-80GB", 800, 108, 166912, std::int64_t{80} << 30, 41943040};

/// cuDNN's own description of a GPU, as it writes one on a machine that has it.
std::string json_of(const Described& gpu) {
  return text(R"({"deviceName":")", gpu.name, R"(","cudaDeviceId":0,"deviceVer":)", gpu.version,
              R"(,"driverVer":13000,"isTccDriver":0,"l2CacheSize":)", gpu.cache,
              R"(,"maxCtasPerSM":32,"maxRegistersPerSM":65536,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":)", gpu.shared,
              R"(,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"memClockRateKHz":2619000,"memoryBusWidth":5120,"multiProcessorCount":)",
              gpu.processors,
              R"(,"pciDeviceId":0,"regsPerBlock":65536,"reservedSharedMemoryPerBlock":1024,"oversizedSharedMemoryPerBlock":0,)"
              R"("smClockRateKHz":1700000,"supportCoopLaunch":1,"totalGlobalMem":)",
              gpu.memory, R"(,"warpSize":32,"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64]})");
}

class CudnnPlans : public ::testing::Test {
 protected:
  void SetUp() override {
    // Under the driver's own name, so that cuDNN's libraries find it.
    static void* const driver = dlopen(STRATA_FAKE_DRIVER, RTLD_NOW | RTLD_GLOBAL);
    ASSERT_NE(driver, nullptr) << dlerror();
    if (!Cudnn::get().refusal().empty()) GTEST_SKIP() << Cudnn::get().refusal();
  }

  static void expect_plan(const Described& gpu, const AttentionRun& run, bool backward) {
    const FusedCase what = case_of(run, backward);
    const View q(nullptr, run.type, Shape{run.B, run.S, run.nh, run.hd}), k(nullptr, run.type, Shape{run.B, run.S, run.nkv, run.hd});
    const std::int64_t most = (backward ? fused_backward_workspace(q, k) : fused_forward_workspace(q)) - fused_lengths_bytes(q);
    const std::string json = json_of(gpu);
    const auto properties = std::make_shared<fe::DeviceProperties>();
    const fe::error_t read = properties->deserialize({json.begin(), json.end()});
    ASSERT_TRUE(read.is_good()) << read.err_msg;
    const std::shared_ptr<Graph> graph = FusedGraph(what, gpu.version / 10).get();
    graph->set_device_properties(properties);

    const std::string why = make_plan(*graph, most, [&] { return graph->build_operation_graph(); });

    ASSERT_EQ(why, "") << what.str() << " on " << gpu.name;
    const std::int64_t wanted = graph->get_workspace_size();
    std::printf("%s, %s: %lld of %lld bytes of workspace\n", gpu.name, what.str().c_str(), static_cast<long long>(wanted),
                static_cast<long long>(most));
    if (backward && run.S % 128 == 0 && run.S >= 2 * run.hd) {
      EXPECT_GE(wanted, most - fused_allowance) << "more is foreseen than is wanted: " << what.str() << " on " << gpu.name;
    }
  }
  static void expect_plans(const AttentionRun& run) {
    for (const Described& gpu : {h200, a100})
      for (const bool backward : {false, true}) expect_plan(gpu, run, backward);
  }
};

TEST_F(CudnnPlans, TakeTheAttentionOfQwen3) {
  for (const std::int64_t S : {512, 2048, 4096}) expect_plans({DType::bf16, 8192 / S, S, 16, 8, 128, true, true});
}

TEST_F(CudnnPlans, TakeTheAttentionOfBertWithPadding) {
  expect_plans({DType::bf16, 32, 384, 12, 12, 64, false, true});
  expect_plans({DType::f16, 8, 384, 16, 16, 64, false, true});
}

TEST_F(CudnnPlans, TakeOddLengthsAndSmallHeads) {
  expect_plans({DType::bf16, 3, 2, 2, 1, 8, true, true});
  expect_plans({DType::f16, 2, 100, 4, 2, 24, true, true});
  expect_plans({DType::bf16, 1, 517, 6, 2, 96, false, true});
}

TEST_F(CudnnPlans, ThatWantMoreThanTheyMayAreNotTaken) {
  const auto properties = std::make_shared<fe::DeviceProperties>();
  const std::string json = json_of(h200);
  ASSERT_TRUE(properties->deserialize({json.begin(), json.end()}).is_good());
  const std::shared_ptr<Graph> graph = FusedGraph(case_of({DType::bf16, 4, 512, 16, 8, 128, true, true}, true), 90).get();
  graph->set_device_properties(properties);

  EXPECT_NE(make_plan(*graph, 1 << 20, [&] { return graph->build_operation_graph(); }), "");
}

}  // namespace
}  // namespace strata::cuda
