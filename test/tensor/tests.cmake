strata_add_test(FILE tensor/test_random.cpp LABELS unit TIMEOUT 30)
strata_add_test(FILE tensor/test_fold.cpp LABELS unit TIMEOUT 30)
strata_add_test(FILE tensor/test_view.cpp LABELS unit TIMEOUT 30)
