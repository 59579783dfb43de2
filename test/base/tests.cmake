strata_add_test(FILE base/test_base.cpp LABELS unit)
