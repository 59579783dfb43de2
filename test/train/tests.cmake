strata_add_test(FILE train/test_golden_run.cpp LABELS reference train LIBRARIES strata_test_models)
strata_add_test(FILE train/test_metrics.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE train/test_step_plan.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE train/test_profile.cpp LABELS unit RANKS 1 2 TIMEOUT 60)
