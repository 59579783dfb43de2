strata_add_test(FILE comm/test_collective.cpp LABELS unit RANKS 1 2 3 4)
strata_add_test(FILE comm/test_stop_agreement.cpp LABELS unit RANKS 1 2 3 4 TIMEOUT 60)
strata_add_test(FILE comm/test_watchdog.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE comm/test_link_rate.cpp LABELS unit RANKS 1 2 3)
