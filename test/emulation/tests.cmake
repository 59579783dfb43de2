# The emulation's own tests; kernels/*.cu are compiled as C++ against it.
add_library(strata_emulation_kernels STATIC)
strata_emulate(strata_emulation_kernels ${CMAKE_CURRENT_SOURCE_DIR}/emulation/kernels/threads.cu ${CMAKE_CURRENT_SOURCE_DIR}/emulation/kernels/matrix.cu)
target_link_libraries(strata_emulation_kernels PUBLIC strata_emulation)

strata_add_test(FILE emulation/test_threads.cpp LABELS unit TIMEOUT 60 LIBRARIES strata_emulation_kernels)
strata_add_test(FILE emulation/test_matrix.cpp LABELS unit TIMEOUT 60 LIBRARIES strata_emulation_kernels)
strata_add_test(FILE emulation/test_streams.cpp LABELS unit TIMEOUT 60 LIBRARIES strata_emulation_kernels)
add_test(NAME emulation.streams.ahead COMMAND test_emulation_streams --gtest_filter=EmulatedAhead.*)
set_tests_properties(emulation.streams.ahead PROPERTIES LABELS unit TIMEOUT 60 ENVIRONMENT "STRATA_EMULATION_AHEAD=60")
strata_add_test(FILE emulation/test_cublaslt.cpp LABELS unit TIMEOUT 60 LIBRARIES strata_emulation_kernels Eigen3::Eigen)
strata_add_test(FILE emulation/test_narrow.cpp LABELS unit TIMEOUT 60 LIBRARIES strata_emulation_kernels)
strata_add_test(FILE emulation/test_nccl.cpp LABELS unit RANKS 1 2 3 TIMEOUT 60 LIBRARIES strata_emulation_kernels strata_dep_mpi)
