strata_add_test(FILE train/test_golden_run.cpp LABELS reference train TIMEOUT 300 CUDA LIBRARIES strata_test_models)
strata_add_test(FILE train/test_metrics.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE train/test_step_plan.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE train/test_run_lock.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE train/test_non_finite.cpp LABELS unit TIMEOUT 60 LIBRARIES strata_test_models)
strata_add_test(FILE train/test_offload.cpp LABELS unit TIMEOUT 240 CUDA)
strata_add_test(FILE train/test_pass_graphs.cpp LABELS train TIMEOUT 240 CUDA LIBRARIES strata_test_models)
strata_add_test(FILE train/test_profile.cpp LABELS unit RANKS 1 2 TIMEOUT 60)

# The recorded runs as a processor without AVX-512 computes them.
add_test(NAME train.golden_run.avx2 COMMAND test_train_golden_run)
set_tests_properties(train.golden_run.avx2 PROPERTIES LABELS "reference;train" TIMEOUT 300
                     ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2;STRATA_SOURCE_DIR=${PROJECT_SOURCE_DIR}" SKIP_RETURN_CODE 77)
strata_add_test(FILE train/test_plan.cpp LABELS unit RANKS 1 2 3 4 TIMEOUT 120)

# Copies and work come on by themselves, in an order that the seed draws.
get_test_property(train.offload.cuda ENVIRONMENT of_offload)
add_test(NAME train.offload.cuda.ahead COMMAND test_train_offload --gtest_filter=Offload.ChangesNoBit)
set_tests_properties(train.offload.cuda.ahead PROPERTIES LABELS "cuda;unit" TIMEOUT 240 SKIP_RETURN_CODE 77
                     ENVIRONMENT "${of_offload};STRATA_EMULATION_AHEAD=60;STRATA_EMULATION_SEED=2")
