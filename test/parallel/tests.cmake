strata_add_test(FILE parallel/test_reduction.cpp LABELS unit RANKS 1 2 3 4)
