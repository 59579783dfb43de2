add_library(strata_test_models STATIC ${CMAKE_CURRENT_SOURCE_DIR}/support/model_fixture.cpp)
target_link_libraries(strata_test_models PUBLIC strata_models nlohmann_json::nlohmann_json)
target_include_directories(strata_test_models PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
strata_add_test(FILE models/test_golden.cpp LABELS reference LIBRARIES strata_test_models)
