// Tuning files: a head of four keys, then a line per product.
#include "strata/deck/tuning_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "deck/measured_file.hpp"
#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"

namespace strata {

using namespace deck;

namespace {

constexpr const char* head_keys[] = {"gpu", "capability", "cublaslt", "measured"};
constexpr const char* example_name = "bf16_nt_512x4096x1024_to_bf16_a1024_b1024_c4096_align16";

std::string one_text(const Items& items) {
  std::string result;
  for (const Item& item : items) result += (result.empty() ? "" : ", ") + item.text;
  return result;
}

std::string found(const Items& items) {
  return ", found \"" + printable(one_text(items)) + "\"";
}

// A whole number from 0, all of the text.
bool read_whole(const std::string& text, std::int64_t& value) {
  if (text.empty() || text.size() > 15) return false;
  for (const char c : text)
    if (c < '0' || c > '9') return false;
  value = std::strtoll(text.c_str(), nullptr, 10);
  return true;
}

bool read_time(const std::string& text, double& value) {
  char* end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == 0 && std::isfinite(value) && value > 0;
}

/// "" or what is wrong.
std::string read_head(const Entry& entry, Tuning& tuning) {
  const std::string value = one_text(entry.items);
  if (entry.key == "gpu") return tuning.gpu = value, value.empty() ? "expected the name of a GPU, found nothing" : "";
  if (entry.key == "measured") return tuning.measured = value, "";
  if (entry.key == "cublaslt")
    return read_whole(value, tuning.cublaslt) && tuning.cublaslt > 0 ? "" : "expected a version like 130002" + found(entry.items);
  if (entry.key == "capability") {
    const auto dot = value.find('.');
    std::int64_t major = 0, minor = 0;
    if (dot == std::string::npos || !read_whole(value.substr(0, dot), major) || !read_whole(value.substr(dot + 1), minor))
      return "expected a compute capability like 9.0" + found(entry.items);
    tuning.major = static_cast<int>(major), tuning.minor = static_cast<int>(minor);
    return "";
  }
  const std::string near = nearest(entry.key, {std::begin(head_keys), std::end(head_keys)});
  return "unknown key; " + (near.empty() ? "expected one of gpu, capability, cublaslt, measured" : "nearest: " + near);
}

// Sums of parts of k that are added in the order of arrival differ from run to run.
constexpr std::int64_t fixed_orders[] = {0, 2};  // CUBLASLT_REDUCTION_SCHEME_NONE, _COMPUTE_TYPE

std::string read_algorithm(const Items& items, TunedProduct& product) {
  constexpr std::size_t words = std::size(algorithm_words);
  std::string form;
  for (const char* word : algorithm_words) form += std::string(word) + " N, ";
  const std::string complaint = "expected " + form + "us T, first T, tried N, and perhaps data of 128 hexadecimal digits" + found(items);
  if (items.size() != words + 3 && items.size() != words + 4) return complaint;
  const auto value = [&](std::size_t i, const std::string& word) {
    const std::string& text = items[i].text;
    return text.rfind(word + " ", 0) == 0 ? text.substr(word.size() + 1) : std::string();
  };
  for (std::size_t i = 0; i < words; ++i)
    if (!read_whole(value(i, algorithm_words[i]), product.algorithm.values[i])) return complaint;
  std::int64_t tried = 0;
  if (!read_time(value(words, "us"), product.us) || !read_time(value(words + 1, "first"), product.first_us)) return complaint;
  if (!read_whole(value(words + 2, "tried"), tried)) return complaint;
  product.tried = static_cast<int>(tried);
  if (items.size() == words + 4) {
    product.algorithm.data = value(words + 3, "data");
    if (product.algorithm.data.size() != 128 || product.algorithm.data.find_first_not_of("0123456789abcdef") != std::string::npos)
      return complaint;
  }
  const std::int64_t reduction = product.algorithm.values[3];
  if (reduction != fixed_orders[0] && reduction != fixed_orders[1])
    return text("expected reduction 0 (none) or 2 (parts are added in a fixed order), found ", reduction,
                ": it adds in the order of arrival, or rounds parts, and a run would not repeat its bits");
  return "";
}

std::string read_entry(const Entry& entry, Tuning& tuning) {
  if (entry.section == "tuning") return read_head(entry, tuning);
  if (entry.section != "products") return "";  // the section is unknown, which has been said
  ProductCase what;
  if (!parse_product_case(entry.key, what))
    return text("expected the name of a product like ", example_name,
                " (type, which sides are stored transposed, m x n x k, output type, strides of the stored rows, alignment)");
  TunedProduct product;
  const std::string complaint = read_algorithm(entry.items, product);
  if (complaint.empty()) product.where = entry.where, tuning.products[entry.key] = product;
  return complaint;
}

}  // namespace

Tuning parse_tuning(const std::string& name, const std::string& content) {
  Tuning tuning;
  tuning.origin = name;
  Problems problems;
  const std::set<std::string> seen = read_entries(
      name, content, "tuning file", {"tuning", "products"}, [&](const Entry& entry) { return read_entry(entry, tuning); }, problems);
  for (const char* key : {"gpu", "capability", "cublaslt"})
    if (!seen.count(std::string("tuning.") + key))
      problems.add(name, std::string("tuning.") + key + " is missing: expected a file that strata measure has written on a GPU");
  throw_mistakes(problems.sorted());
  return tuning;
}

Tuning read_tuning_file(const std::filesystem::path& path) {
  const DeckSource source = read_deck_file(path);
  return parse_tuning(source.name, source.text);
}

std::string tuning_text(const Tuning& tuning) {
  std::string out = text(
      "# Which of cuBLASLt's algorithms the products of a model take on this GPU, measured by `strata measure` (doc/files.md). Named by\n"
      "# device.tuning. It holds for this GPU and this version of cuBLASLt alone.\n\n"
      "[tuning]\n"
      "gpu        = ",
      quoted_if_needed(tuning.gpu), "\ncapability = ", tuning.major, ".", tuning.minor, "\ncublaslt   = ", tuning.cublaslt, "\n");
  if (!tuning.measured.empty()) out += "measured   = " + quoted_if_needed(tuning.measured) + "\n";
  out +=
      "\n# type_layout_MxNxK_to_type, strides of the stored rows of A, B, C, of what is added (own: C itself), alignment [bytes]\n"
      "# = cuBLASLt's attributes of the algorithm, its time, that of the heuristic's first choice [us], algorithms tried; data: its\n"
      "# bytes, where the attributes do not say all\n[products]\n";
  std::size_t width = 0;
  for (const auto& [name, product] : tuning.products) width = std::max(width, name.size());
  for (const auto& [name, product] : tuning.products) {
    out += name + std::string(width - name.size(), ' ') + " = ";
    for (std::size_t i = 0; i < std::size(algorithm_words); ++i) out += text(algorithm_words[i], ' ', product.algorithm.values[i], ", ");
    out += "us " + number_text(product.us) + ", first " + number_text(product.first_us) + text(", tried ", product.tried);
    out += (product.algorithm.data.empty() ? "" : ", data " + product.algorithm.data) + "\n";
  }
  return out;
}

}  // namespace strata
