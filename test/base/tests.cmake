strata_add_test(FILE base/test_base.cpp LABELS unit)
strata_add_test(FILE base/test_half.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE base/test_utf8.cpp LABELS unit TIMEOUT 30)
strata_add_test(FILE base/test_end_hook.cpp LABELS unit TIMEOUT 60)
