# golden.cpp is shared by the tests of this room.
add_library(strata_test_tokenizer_golden STATIC ${CMAKE_CURRENT_LIST_DIR}/golden.cpp)
target_link_libraries(strata_test_tokenizer_golden PUBLIC strata_test_main strata_tokenizer nlohmann_json::nlohmann_json)

strata_add_test(FILE tokenizer/test_reference.cpp LABELS unit TIMEOUT 300 LIBRARIES strata_test_tokenizer_golden)
strata_add_test(FILE tokenizer/test_sentencepiece.cpp LABELS unit LIBRARIES strata_test_tokenizer_golden strata_dep_sentencepiece)
strata_add_test(FILE tokenizer/test_byte_bpe.cpp LABELS unit TIMEOUT 240 LIBRARIES strata_test_tokenizer_golden)
strata_add_test(FILE tokenizer/test_wordpiece.cpp LABELS unit TIMEOUT 120 LIBRARIES strata_test_tokenizer_golden)
strata_add_test(FILE tokenizer/test_unicode.cpp LABELS unit LIBRARIES strata_test_tokenizer_golden)
strata_add_test(FILE tokenizer/test_tokenizer_files.cpp LABELS unit LIBRARIES strata_test_tokenizer_golden)
