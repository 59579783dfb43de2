strata_add_test(FILE ops/test_linear.cpp LABELS unit kernel grad TIMEOUT 120)
strata_add_test(FILE ops/test_cross_entropy.cpp LABELS unit kernel grad TIMEOUT 120)
strata_add_test(FILE ops/test_embedding.cpp LABELS unit kernel grad TIMEOUT 60)
strata_add_test(FILE ops/test_vector_math.cpp LABELS unit kernel TIMEOUT 60)
strata_add_test(FILE ops/test_rms_norm.cpp LABELS unit kernel grad TIMEOUT 60)
strata_add_test(FILE ops/test_rope.cpp LABELS unit kernel grad TIMEOUT 60)
strata_add_test(FILE ops/test_swiglu.cpp LABELS unit kernel grad TIMEOUT 60)
strata_add_test(FILE ops/test_elementwise.cpp LABELS unit kernel TIMEOUT 120)
strata_add_test(FILE ops/test_adamw.cpp LABELS unit kernel TIMEOUT 60)
strata_add_test(FILE ops/test_attention.cpp LABELS unit kernel grad TIMEOUT 240)

# The products behind projections as a processor without AVX-512 computes them.
add_test(NAME ops.linear.avx2 COMMAND test_ops_linear)
set_tests_properties(ops.linear.avx2 PROPERTIES LABELS "unit;kernel;grad" TIMEOUT 120 ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2")
