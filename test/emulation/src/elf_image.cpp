#include "elf_image.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

namespace emulation {
namespace {

struct Symbol {
  std::string name;
  std::uintptr_t address;
  std::size_t bytes;
};

struct Image {
  std::uintptr_t begin = 0, end = 0;         // where it is mapped
  std::vector<Range> shared;                 // sections
  std::vector<Symbol> functions, variables;  // the latter: shared ones
};

// g++ leaves the section of a function template's variable out of account. By their names then: Strata's device code lies in this
// namespace, whose host functions have no static variables.
bool is_device_static(const std::string& name) {
  return name.rfind("_ZZN6strata4cuda", 0) == 0;
}
// Kernels are called so; another function's variables may be any kernel's.
bool is_of_a_kernel(const std::string& name) {
  return name.find("_kernel") != std::string::npos;
}
// How a function's static variables begin.
std::string prefix_of(const Symbol& function) {
  return function.name.rfind("_Z", 0) == 0 ? "_ZZ" + function.name.substr(2) + "E" : "";
}

bool contains(const std::vector<Range>& ranges, std::uintptr_t address) {
  for (const Range& range : ranges) {
    const auto begin = reinterpret_cast<std::uintptr_t>(range.begin);
    if (address >= begin && address < begin + range.bytes) return true;
  }
  return false;
}

// A file's tables, checked against its size: a stripped or odd file gives none.
class Tables {
 public:
  explicit Tables(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    if (bytes_.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes_.data(), ELFMAG, SELFMAG) != 0) return;
    const auto* const header = at<Elf64_Ehdr>(0);
    for (int i = 0; i < header->e_shnum; ++i) {
      const auto* const section = at<Elf64_Shdr>(header->e_shoff + static_cast<std::size_t>(i) * sizeof(Elf64_Shdr));
      if (section != nullptr) sections_.push_back(section);
    }
    if (header->e_shstrndx < sections_.size()) names_ = sections_[header->e_shstrndx];
  }
  const std::vector<const Elf64_Shdr*>& sections() const { return sections_; }
  std::string name(const Elf64_Shdr& section) const { return names_ == nullptr ? "" : text(*names_, section.sh_name); }

  bool writable(const Elf64_Sym& symbol) const {
    return symbol.st_shndx < sections_.size() && (sections_[symbol.st_shndx]->sh_flags & SHF_WRITE) != 0;
  }
  std::string text(const Elf64_Shdr& strings, std::size_t offset) const {
    const std::size_t start = strings.sh_offset + offset;
    return start < bytes_.size() ? std::string(bytes_.data() + start, strnlen(bytes_.data() + start, bytes_.size() - start)) : "";
  }
  template <class T>
  const T* at(std::size_t offset) const {
    return offset + sizeof(T) <= bytes_.size() ? reinterpret_cast<const T*>(bytes_.data() + offset) : nullptr;
  }

 private:
  std::vector<char> bytes_;
  std::vector<const Elf64_Shdr*> sections_;
  const Elf64_Shdr* names_ = nullptr;
};

void read(Image& image, const std::string& path, std::uintptr_t base) {
  const Tables tables(path);
  for (const Elf64_Shdr* section : tables.sections()) {
    if (tables.name(*section).rfind("strata_shared_", 0) != 0) continue;
    image.shared.push_back({reinterpret_cast<char*>(base + section->sh_addr), section->sh_size});
  }
  for (const Elf64_Shdr* section : tables.sections()) {
    if (section->sh_type != SHT_SYMTAB || section->sh_link >= tables.sections().size()) continue;
    for (std::size_t offset = 0; offset < section->sh_size; offset += sizeof(Elf64_Sym)) {
      const auto* const symbol = tables.at<Elf64_Sym>(section->sh_offset + offset);
      if (symbol == nullptr || symbol->st_value == 0) continue;
      const std::uintptr_t address = base + symbol->st_value;
      const auto type = ELF64_ST_TYPE(symbol->st_info);
      const bool function = type == STT_FUNC;
      if (!function && (type != STT_OBJECT || !tables.writable(*symbol))) continue;
      const std::string name = tables.text(*tables.sections()[section->sh_link], symbol->st_name);
      if (!function && !contains(image.shared, address) && !is_device_static(name)) continue;
      auto& list = function ? image.functions : image.variables;
      list.push_back({name, address, symbol->st_size});
    }
  }
}

int add_image(dl_phdr_info* info, std::size_t, void* data) {
  auto& [function, image] = *static_cast<std::pair<std::uintptr_t, Image*>*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    const std::uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    const std::uintptr_t end = begin + info->dlpi_phdr[i].p_memsz;
    if (function < begin || function >= end) continue;
    image->begin = begin;
    image->end = end;
    const bool program = info->dlpi_name == nullptr || *info->dlpi_name == '\0';
    read(*image, program ? "/proc/self/exe" : info->dlpi_name, info->dlpi_addr);
    return 1;
  }
  return 0;
}

// The image that holds a function; read once.
const Image& image_of(const void* function) {
  static auto* const images = new std::vector<std::unique_ptr<Image>>;
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  for (const auto& image : *images) {
    if (address >= image->begin && address < image->end) return *image;
  }
  images->push_back(std::make_unique<Image>());
  std::pair<std::uintptr_t, Image*> wanted{address, images->back().get()};
  dl_iterate_phdr(add_image, &wanted);
  return *images->back();
}

const Symbol* symbol_of(const void* function) {
  for (const Symbol& symbol : image_of(function).functions) {
    if (symbol.address == reinterpret_cast<std::uintptr_t>(function)) return &symbol;
  }
  return nullptr;
}

}  // namespace

std::string function_name(const void* function) {
  const Symbol* const symbol = symbol_of(function);
  if (symbol == nullptr) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", function);
    return text;
  }
  int status = 0;
  char* const plain = abi::__cxa_demangle(symbol->name.c_str(), nullptr, nullptr, &status);
  std::string name = plain != nullptr ? plain : symbol->name;
  std::free(plain);
  return name;
}

const std::vector<Range>& shared_ranges(const void* kernel) {
  static auto* const known = new std::map<const void*, std::vector<Range>>;
  const auto [found, fresh] = known->try_emplace(kernel);
  std::vector<Range>& ranges = found->second;
  if (!fresh) return ranges;
  const Image& image = image_of(kernel);
  const Symbol* const symbol = symbol_of(kernel);
  const std::string prefix = symbol == nullptr ? "" : prefix_of(*symbol);
  ranges = image.shared;
  for (const Symbol& variable : image.variables) {
    const bool own = !prefix.empty() && variable.name.rfind(prefix, 0) == 0;
    if (contains(image.shared, variable.address) || (!own && is_of_a_kernel(variable.name))) continue;
    ranges.push_back({reinterpret_cast<char*>(variable.address), variable.bytes});
  }
  return ranges;
}

std::size_t shared_variables(const void* function) {
  const Symbol* const symbol = symbol_of(function);
  const std::string prefix = symbol == nullptr ? "" : prefix_of(*symbol);
  if (prefix.empty()) return 0;
  std::size_t bytes = 0;
  for (const Symbol& variable : image_of(function).variables) {
    if (variable.name.rfind(prefix, 0) == 0) bytes = (bytes + 15) / 16 * 16 + variable.bytes;
  }
  return bytes;
}

}  // namespace emulation
