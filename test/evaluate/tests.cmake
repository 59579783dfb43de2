strata_add_test(FILE evaluate/test_sampler.cpp LABELS unit TIMEOUT 60 LIBRARIES nlohmann_json::nlohmann_json)
strata_add_test(FILE evaluate/test_sampler_memory.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE evaluate/test_stop.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE evaluate/test_generator.cpp LABELS reference LIBRARIES strata_test_models)
