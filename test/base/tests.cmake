strata_add_test(FILE base/test_base.cpp LABELS unit)
strata_add_test(FILE base/test_utf8.cpp LABELS unit TIMEOUT 30)
