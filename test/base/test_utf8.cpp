// UTF-8: the examples of the Unicode standard, and every code point.
#include "strata/base/utf8.hpp"

#include <gtest/gtest.h>

namespace {
using namespace strata;

std::string repaired(const std::string& bytes, std::int64_t expected) {
  std::int64_t replaced = 0;
  std::string result = repaired_utf8(bytes, replaced);
  EXPECT_EQ(replaced, expected) << bytes;
  EXPECT_EQ(first_invalid_utf8(result), std::string::npos);
  return result;
}

// Table 3-8 of the standard: U+FFFD for every maximal part.
TEST(Utf8, ReplacesMaximalParts) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(repaired("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", 6), "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(repaired("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", 8), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xed\xa0\x80", 3), r + r + r) << "a surrogate";
  EXPECT_EQ(repaired("\xe2\x82", 1), r) << "cut off";
  EXPECT_EQ(repaired("", 0), "");
}

TEST(Utf8, EveryCharacterIsLeftAlone) {
  std::string all;
  for (std::uint32_t c = 0; c <= 0x10ffff; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    const auto put = [&](std::uint32_t byte) { all += static_cast<char>(byte); };
    if (c < 0x80)
      put(c);
    else if (c < 0x800)
      put(0xc0 | c >> 6), put(0x80 | (c & 63));
    else if (c < 0x10000)
      put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
    else
      put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
  }
  EXPECT_EQ(first_invalid_utf8(all), std::string::npos);
  EXPECT_EQ(repaired(all, 0), all);
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(first_invalid_utf8("ab\xff"
                               "c"),
            2u);
  EXPECT_EQ(first_invalid_utf8("\xc3\xa4\xf4\x90\x80\x80"), 2u);
}

}  // namespace
