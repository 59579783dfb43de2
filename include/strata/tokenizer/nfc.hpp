#pragma once
// Normalisation form C, as Hugging Face tokenizers does it (Unicode 9), on text that may hold bytes that are not UTF-8.
#include <string>
#include <string_view>

namespace strata {

/// True if NFC certainly leaves the text as it is: nothing in it can move. Text below U+0300 costs one pass over its bytes.
bool is_surely_nfc(std::string_view text);

/// NFC of the text, appended to `out`. Bytes that are not UTF-8 stay where they are; nothing moves across them.
void append_nfc(std::string_view text, std::string& out);

}  // namespace strata
