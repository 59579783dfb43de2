strata_add_test(FILE device/test_arena.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE device/test_stream.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE device/test_capture.cpp LABELS unit TIMEOUT 60 CUDA)
strata_add_test(FILE device/test_peaks.cpp LABELS unit TIMEOUT 60)
add_library(strata_fake_nvml MODULE support/fake_nvml.cpp)
strata_add_test(FILE device/test_use.cpp LABELS unit TIMEOUT 60)
add_dependencies(test_device_use strata_fake_nvml)
target_compile_definitions(test_device_use PRIVATE FAKE_NVML="$<TARGET_FILE:strata_fake_nvml>")
strata_add_test(FILE device/test_op_times.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE device/test_tuning.cpp LABELS unit TIMEOUT 120 LIBRARIES strata_tensor CUDA)
strata_add_test(FILE device/test_thread_pool.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE device/test_panels.cpp LABELS unit kernel TIMEOUT 60)
strata_add_test(FILE device/test_blas.cpp LABELS unit kernel TIMEOUT 120 LIBRARIES strata_tensor)

# The same products as a processor without AVX-512 computes them: bf16 through f32.
add_test(NAME device.blas.avx2 COMMAND test_device_blas)
set_tests_properties(device.blas.avx2 PROPERTIES LABELS "unit;kernel" TIMEOUT 120 ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2")
# And as one with AVX-512 bf16 that lacks AMX.
add_test(NAME device.blas.avx512 COMMAND test_device_blas)
set_tests_properties(device.blas.avx512 PROPERTIES LABELS "unit;kernel" TIMEOUT 120 ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX512_CORE_BF16")

# Blocks and panels where no kernel of ours is allowed.
add_test(NAME device.panels.avx2 COMMAND test_device_panels)
set_tests_properties(device.panels.avx2 PROPERTIES LABELS "unit;kernel" TIMEOUT 60 ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2")

# Benchmark, not in ctest: ninja bench_gemm && ./bench_gemm 2 512 bf16
add_executable(bench_gemm EXCLUDE_FROM_ALL bench/bench_gemm.cpp)
target_link_libraries(bench_gemm PRIVATE strata_device strata_dep_dnnl OpenMP::OpenMP_CXX)
