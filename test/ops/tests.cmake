strata_add_test(FILE ops/test_linear.cpp LABELS unit kernel grad TIMEOUT 120 CUDA)
strata_add_test(FILE ops/test_cross_entropy.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_embedding.cpp LABELS unit kernel grad TIMEOUT 60 CUDA)
strata_add_test(FILE ops/test_vector_math.cpp LABELS unit kernel TIMEOUT 60)
strata_add_test(FILE ops/test_rms_norm.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_layer_norm.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_gelu.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_dropout.cpp LABELS unit kernel TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_span_head.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_kv_cache.cpp LABELS unit kernel TIMEOUT 60 CUDA)
strata_add_test(FILE ops/test_rope.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_qk_norm_rope.cpp LABELS unit kernel grad TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_swiglu.cpp LABELS unit kernel grad TIMEOUT 60 CUDA)
strata_add_test(FILE ops/test_elementwise.cpp LABELS unit kernel TIMEOUT 120 CUDA)
strata_add_test(FILE ops/test_adamw.cpp LABELS unit kernel TIMEOUT 240 CUDA)
strata_add_test(FILE ops/test_attention.cpp LABELS unit kernel grad TIMEOUT 480 CUDA)
strata_add_test(FILE ops/test_bidirectional_attention.cpp LABELS unit kernel grad TIMEOUT 480 CUDA)
strata_add_test(FILE ops/test_fused_attention.cpp LABELS unit kernel TIMEOUT 240 CUDA)

# The products behind projections as a processor without AVX-512 computes them.
add_test(NAME ops.linear.avx2 COMMAND test_ops_linear)
set_tests_properties(ops.linear.avx2 PROPERTIES LABELS "unit;kernel;grad" TIMEOUT 120 ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2")

# Blocks of sm_86, sm_89 and sm_120 have 99 KiB of shared memory; heads of 128 with dropout are what needs most.
add_test(NAME ops.bidirectional_attention.sm86 COMMAND test_ops_bidirectional_attention --gtest_filter=*ManyOrLargeHeads*)
set_tests_properties(ops.bidirectional_attention.sm86 PROPERTIES LABELS "cuda;unit;kernel" TIMEOUT 60 SKIP_RETURN_CODE 77 ENVIRONMENT
  "STRATA_TEST_DEVICE=cuda;STRATA_EMULATION_ARCH=86;STRATA_CUDA_EMULATED=${CMAKE_BINARY_DIR}/libstrata_cuda_emulated.so")

# With the real cuDNN, where the build has its headers; skipped where the library is not.
if(STRATA_HAS_CUDNN)
  add_library(strata_fake_driver MODULE ops/fake_driver.c)
  target_link_options(strata_fake_driver PRIVATE -Wl,-soname,libcuda.so.1)
  strata_add_test(FILE ops/test_cudnn_plans.cpp LABELS unit kernel TIMEOUT 300 LIBRARIES CUDA::cudart_static)
  add_dependencies(test_ops_cudnn_plans strata_fake_driver)
  target_include_directories(test_ops_cudnn_plans SYSTEM PRIVATE ${CUDNN_FRONTEND_INCLUDE_DIR} ${CUDNN_INCLUDE_DIR})
  target_compile_options(test_ops_cudnn_plans PRIVATE -O1)
  target_compile_definitions(test_ops_cudnn_plans PRIVATE STRATA_WITH_CUDNN NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
                             STRATA_FAKE_DRIVER="$<TARGET_FILE:strata_fake_driver>")
  if(CUDNN_LIBRARY)
    get_filename_component(folder ${CUDNN_LIBRARY} DIRECTORY)
    set_property(TARGET test_ops_cudnn_plans APPEND PROPERTY BUILD_RPATH ${folder})
  endif()
endif()
