strata_add_test(FILE train/test_golden_run.cpp LABELS reference train LIBRARIES strata_test_models)
