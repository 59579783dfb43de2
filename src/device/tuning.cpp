// Names of products, and what a tuning belongs to.
#include "strata/device/tuning.hpp"

#include <cstdlib>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/device/gpu.hpp"

namespace strata {
namespace {

constexpr std::pair<DType, const char*> types[] = {{DType::f32, "fp32"}, {DType::bf16, "bf16"}, {DType::f16, "fp16"}, {DType::f64, "fp64"}};

const char* type_word(DType type) {
  for (const auto& [known, word] : types)
    if (known == type) return word;
  throw InternalError(text("a product in ", name_of(type)));
}

bool read_type(const std::string& word, DType& type) {
  for (const auto& [known, name] : types)
    if (word == name) return type = known, true;
  return false;
}

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name)
    if (c == '_')
      words.emplace_back();
    else
      words.back() += c;
  return words;
}

// "a1024" with "a" before the number.
bool read_number(const std::string& word, const std::string& before, std::int64_t& value) {
  if (word.rfind(before, 0) != 0 || word.size() == before.size() || word.size() > before.size() + 15) return false;
  for (std::size_t i = before.size(); i < word.size(); ++i)
    if (word[i] < '0' || word[i] > '9') return false;
  value = std::strtoll(word.c_str() + before.size(), nullptr, 10);
  return true;
}

bool read_sizes(const std::string& word, ProductCase& c) {
  const auto first = word.find('x'), second = word.find('x', first == std::string::npos ? first : first + 1);
  if (second == std::string::npos) return false;
  return read_number(word.substr(0, first), "", c.m) && read_number(word.substr(first + 1, second - first - 1), "", c.n) &&
         read_number(word.substr(second + 1), "", c.k);
}

}  // namespace

std::string ProductCase::name() const {
  std::string all = text(type_word(in), '_', a_transposed ? 't' : 'n', b_transposed ? 't' : 'n', '_', m, 'x', n, 'x', k, "_to_",
                         type_word(out), "_a", a_stride, "_b", b_stride, "_c", c_stride);
  if (in_place) all += "_own";
  if (old_stride > 0 && !in_place) all += text("_old", old_stride);
  if (epilogue != "none") all += "_" + epilogue;
  return all + text("_align", alignment);
}

bool parse_product_case(const std::string& name, ProductCase& what) {
  const std::vector<std::string> words = words_of(name);
  std::int64_t align = 0;
  if (words.size() < 9 || words[1].size() != 2 || words[3] != "to" || !read_number(words.back(), "align", align)) return false;
  ProductCase c;
  c.a_transposed = words[1][0] == 't', c.b_transposed = words[1][1] == 't', c.alignment = static_cast<int>(align);
  if (!read_type(words[0], c.in) || !read_sizes(words[2], c) || !read_type(words[4], c.out)) return false;
  if (!read_number(words[5], "a", c.a_stride) || !read_number(words[6], "b", c.b_stride) || !read_number(words[7], "c", c.c_stride))
    return false;
  std::size_t at = 8;
  if (words[at] == "own")
    c.in_place = true, c.old_stride = c.c_stride, ++at;
  else if (read_number(words[at], "old", c.old_stride))
    ++at;
  if (at + 1 < words.size()) c.epilogue = words[at++];
  if (at + 1 != words.size() || c.m <= 0 || c.n <= 0 || c.k <= 0 || align < 1 || align > 16) return false;
  what = c;
  return c.name() == name;
}

std::string tuning_refusal(const Tuning& tuning, const GpuFacts& gpu) {
  const auto of = [](const std::string& name, int major, int minor, std::int64_t version) {
    return text(name, " (compute capability ", major, ".", minor, ") with cuBLASLt ", version);
  };
  if (tuning.gpu == gpu.name && tuning.major == gpu.major && tuning.minor == gpu.minor && tuning.cublaslt == gpu.cublaslt) return "";
  return text("the tuning file is of ", of(tuning.gpu, tuning.major, tuning.minor, tuning.cublaslt), ", this is ",
              of(gpu.name, gpu.major, gpu.minor, gpu.cublaslt));
}

}  // namespace strata
