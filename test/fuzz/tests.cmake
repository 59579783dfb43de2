# One executable per reader, run for a few seconds by CTest (label fuzz) and for longer by test/fuzz/run.sh.
# With STRATA_FUZZ and clang (preset fuzz) also fuzz_<reader>.libfuzzer, which searches by coverage.
set(strata_fuzz_inputs 3000)
if(STRATA_SANITIZE)
  set(strata_fuzz_inputs 600)
endif()

add_library(strata_fuzz STATIC ${CMAKE_CURRENT_LIST_DIR}/fuzz.cpp ${CMAKE_CURRENT_LIST_DIR}/mutate.cpp ${CMAKE_CURRENT_LIST_DIR}/h5_repair.cpp
            support/support.cpp)
target_include_directories(strata_fuzz PUBLIC ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(strata_fuzz PUBLIC strata_commands GTest::gtest strata_dep_hdf5 nlohmann_json::nlohmann_json)

add_library(strata_fuzz_driver STATIC ${CMAKE_CURRENT_LIST_DIR}/driver.cpp)
target_link_libraries(strata_fuzz_driver PUBLIC strata_fuzz)
if(STRATA_SANITIZE)
  target_compile_definitions(strata_fuzz_driver PRIVATE STRATA_FUZZ_SANITIZED=1)
endif()

# strata_fuzz_target(<reader> [libraries...])
function(strata_fuzz_target reader)
  add_executable(fuzz_${reader} fuzz/fuzz_${reader}.cpp)
  target_link_libraries(fuzz_${reader} PRIVATE strata_fuzz_driver ${ARGN})
  add_test(NAME fuzz.${reader} COMMAND fuzz_${reader} --inputs=${strata_fuzz_inputs} --seconds=8)
  set_tests_properties(fuzz.${reader} PROPERTIES LABELS "unit;fuzz" TIMEOUT 240
                       ENVIRONMENT "STRATA_SOURCE_DIR=${PROJECT_SOURCE_DIR};STRATA_FUZZ_OUT=${CMAKE_BINARY_DIR}")
  if(STRATA_FUZZ)
    add_executable(fuzz_${reader}.libfuzzer fuzz/fuzz_${reader}.cpp)
    target_link_libraries(fuzz_${reader}.libfuzzer PRIVATE strata_fuzz ${ARGN} -fsanitize=fuzzer)
  endif()
endfunction()

strata_fuzz_target(token_file)
strata_fuzz_target(checkpoint)
strata_fuzz_target(safetensors)
strata_fuzz_target(safetensors_index)
strata_fuzz_target(config)
strata_fuzz_target(tokenizer_json)
strata_fuzz_target(vocab_merges)
strata_fuzz_target(vocab_lines)
strata_fuzz_target(sentencepiece strata_dep_sentencepiece)
strata_fuzz_target(deck)
strata_fuzz_target(text)
strata_fuzz_target(squad)
strata_fuzz_target(feature_file)
