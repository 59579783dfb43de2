// Superblock, object headers, links and attributes.
#include "io/h5_structure.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

namespace strata::h5 {
namespace {

constexpr std::uint64_t longest_name = 1024;   // [bytes] of a link's or attribute's name
constexpr std::size_t most_entries = 1000000;  // links of a group, attributes of an object, records of a tree
constexpr std::size_t most_chunks = 100000;    // of an object header

constexpr std::string_view signature("\x89HDF\r\n\x1a\n", 8);

bool is_known(unsigned type) {
  switch (type) {
    case nil_message:
    case dataspace_message:
    case link_info_message:
    case datatype_message:
    case fill_message:
    case link_message:
    case external_message:
    case layout_message:
    case group_info_message:
    case filter_message:
    case attribute_message:
    case comment_message:
    case continuation_message:
    case time_message:
    case attribute_info_message:
    case reference_count_message:
      return true;
    default:
      return false;
  }
}

/// One link, from a message of the header or an object of the heap.
std::pair<std::string, Link> parse_link(std::string_view content, const std::string& what) {
  Cursor at(content, what);
  if (at.byte() != 1) at.fail("is of an unknown version");
  const unsigned flags = at.byte();
  if (flags >> 5 != 0) at.fail("has unknown flags");
  const unsigned type = flags & 0x08 ? at.byte() : 0;
  if (flags & 0x04) at.number(8);  // creation order
  if (flags & 0x10) at.byte();     // character set
  const std::uint64_t bytes = at.number(std::uint64_t{1} << (flags & 3));
  if (bytes == 0 || bytes > longest_name) at.fail(text("has a name of ", bytes, " bytes; 1 to ", longest_name, " are read"));
  std::pair<std::string, Link> result{std::string(at.take(bytes)), Link()};
  if (result.first.find_first_of(std::string_view("/\0", 2)) != std::string::npos) at.fail("has a slash or a zero in its name");
  result.second.hard = type == 0;
  if (type == 0) result.second.address = at.address();
  return result;
}

std::pair<std::string, RawAttribute> parse_attribute(std::string_view content, const std::string& what) {
  Cursor at(content, what);
  if (at.byte() != 3) at.fail("is of an unknown version");
  if (at.byte() != 0) at.fail("has a type or shape that is kept elsewhere (a named type)");
  const std::uint64_t name = at.number(2), type = at.number(2), space = at.number(2);
  if (name < 2 || name > longest_name) at.fail(text("has a name of ", name, " bytes; at most ", longest_name, " are read"));
  at.byte();  // character set
  std::pair<std::string, RawAttribute> result{std::string(at.take(name)), RawAttribute()};
  if (result.first.find('\0') != name - 1) at.fail("has a name that does not end where it should");
  result.first.pop_back();
  result.second.type = at.take(type), result.second.space = at.take(space);
  result.second.value = at.take(at.left());
  return result;
}

}  // namespace

const Message* Object::find(unsigned type) const {
  const auto found = std::find_if(messages.begin(), messages.end(), [&](const Message& m) { return m.type == type; });
  return found == messages.end() ? nullptr : &*found;
}

std::uint32_t metadata_checksum(std::string_view bytes) {
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = value << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    return value;
  };
  std::uint32_t a = 0xdeadbeefu + static_cast<std::uint32_t>(bytes.size()), b = a, c = a;
  const auto step = [](std::uint32_t& x, std::uint32_t& y, std::uint32_t& z, int turn) { x -= z, x ^= std::rotl(z, turn), z += y; };
  std::size_t at = 0;
  for (; bytes.size() - at > 12; at += 12) {
    a += word(at), b += word(at + 4), c += word(at + 8);
    step(a, b, c, 4), step(b, c, a, 6), step(c, a, b, 8), step(a, b, c, 16), step(b, c, a, 19), step(c, a, b, 4);
  }
  if (at == bytes.size()) return c;
  a += word(at), b += word(at + 4), c += word(at + 8);
  const auto end = [](std::uint32_t& x, std::uint32_t y, int turn) { x ^= y, x -= std::rotl(y, turn); };
  end(c, b, 14), end(a, c, 11), end(b, a, 25), end(c, b, 16), end(a, c, 4), end(b, a, 14), end(c, b, 24);
  return c;
}

std::string Structure::block(std::uint64_t address, std::uint64_t bytes, const std::string& what) {
  if (address > static_cast<std::uint64_t>(file_bytes_) || bytes > static_cast<std::uint64_t>(file_bytes_) - address)
    throw DataError(text(name_, ": ", what, " lies outside the file: it was cut short or damaged"));
  budget_ -= static_cast<std::int64_t>(bytes);
  if (budget_ < 0) throw DataError(text(name_, ": ", what, " and others before it lie over one another: the file is damaged"));
  std::string result(bytes, '\0');
  for (std::size_t done = 0; done < result.size();) {
    const ssize_t n = ::pread(descriptor_, result.data() + done, result.size() - done, static_cast<off_t>(address + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(text(name_, ": cannot read ", what, ": ", std::generic_category().message(errno)));
    if (n == 0) throw DataError(text(name_, ": the file ends inside ", what, ": it was cut short"));
    done += static_cast<std::size_t>(n);
  }
  return result;
}

std::string Structure::checked_block(std::uint64_t address, std::uint64_t bytes, const std::string& what) {
  if (bytes < 8) throw DataError(text(name_, ": ", what, " claims ", bytes, " bytes"));
  std::string result = block(address, bytes, what);
  const std::uint32_t found = metadata_checksum(std::string_view(result).substr(0, bytes - 4));
  if (Cursor(std::string_view(result).substr(bytes - 4), what).number(4) != found)
    throw DataError(text(name_, ": ", what, " is damaged: its checksum differs"));
  result.resize(bytes - 4);
  return result;
}

Structure::Structure(int descriptor, std::int64_t file_bytes, std::string name)
    : descriptor_(descriptor), file_bytes_(file_bytes), name_(std::move(name)), budget_(2 * file_bytes + 65536) {
  constexpr std::uint64_t superblock_bytes = 48;
  const auto refuse = [&](const std::string& why) -> void { throw DataError(text(name_, ": cannot be opened as an HDF5 file: ", why)); };
  const std::string head = block(0, std::min<std::uint64_t>(9, static_cast<std::uint64_t>(file_bytes_)), "the superblock");
  if (std::string_view(head).substr(0, 8) != signature) refuse("it does not begin like one");
  if (file_bytes_ < static_cast<std::int64_t>(superblock_bytes)) refuse("it was cut short");
  const int version = static_cast<unsigned char>(head[8]);
  if (version != 2 && version != 3)
    refuse(text("its structure is of version ", version,
                "; 2 and 3 are read, which HDF5 writes with library bounds from V18 on (h5py: libver=\"v108\" or \"latest\")"));
  const std::string bytes = checked_block(0, superblock_bytes, "the superblock");
  Cursor at(bytes, name_ + ": the superblock");
  at.take(9);
  if (at.byte() != 8 || at.byte() != 8) at.fail("has addresses that are not of 8 bytes");
  if (at.byte() != 0) refuse("whoever wrote it did not close it");
  if (at.address() != 0) at.fail("does not count addresses from the file's beginning");
  if (at.address() != no_address) at.fail("has an extension");
  const std::uint64_t end = at.address();
  if (end > static_cast<std::uint64_t>(file_bytes_)) refuse(text("it was cut short: it should have ", end, " bytes and has ", file_bytes_));
  root_ = at.address();
}

const Object& Structure::object(std::uint64_t address, const std::string& path) {
  const auto found = objects_.find(address);
  if (found != objects_.end()) return found->second;
  return objects_.emplace(address, parse(address, path)).first->second;
}

Object Structure::parse(std::uint64_t address, const std::string& path) {
  const std::string what = "the header of " + path, place = name_ + ": " + what;
  constexpr std::uint64_t longest_prefix = 34;
  const auto all = static_cast<std::uint64_t>(file_bytes_);
  const std::string prefix = block(address, std::min(longest_prefix, all - std::min(address, all)), what);
  Cursor at(prefix, place);
  at.expect("OHDR", "is not where it should be");
  if (at.byte() != 2) at.fail("is of an unknown version");
  const unsigned flags = at.byte();
  if (flags >> 6 != 0) at.fail("has unknown flags");
  if (flags & 0x20) at.take(16);  // times
  if (flags & 0x10) at.take(4);   // limits of the storage of attributes
  const std::uint64_t chunk = at.number(std::uint64_t{1} << (flags & 3)), before = prefix.size() - at.left();
  if (chunk > static_cast<std::uint64_t>(file_bytes_)) at.fail(text("claims ", chunk, " bytes"));

  Object result;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> continuations;
  const bool has_order = (flags & 0x04) != 0;
  const std::string first = checked_block(address, before + chunk + 4, what);
  read_messages(std::string_view(first).substr(before), has_order, place, result, continuations);
  std::set<std::uint64_t> seen{address};
  for (std::size_t i = 0; i < continuations.size(); ++i) {  // grows while it is walked
    const auto [next, bytes] = continuations[i];
    if (!seen.insert(next).second || i > most_chunks) at.fail("goes round in a circle");
    const std::string more = checked_block(next, bytes, what);
    Cursor(more, place).expect("OCHK", "goes on where nothing of it lies");
    read_messages(std::string_view(more).substr(4), has_order, place, result, continuations);
  }
  const bool has_links = result.find(link_info_message) != nullptr;
  const bool has_data = result.find(layout_message) != nullptr;
  if (has_links && has_data) at.fail("is that of a group and of a dataset");
  result.kind = has_links ? ObjectKind::group : has_data ? ObjectKind::dataset : ObjectKind::other;
  if (has_links) read_links(result, path);
  read_attributes(result, path);
  return result;
}

void Structure::read_messages(std::string_view bytes, bool has_order, const std::string& what, Object& object,
                              std::vector<std::pair<std::uint64_t, std::uint64_t>>& continuations) {
  const std::size_t smallest = has_order ? 6 : 4;
  for (Cursor at(bytes, what); at.left() >= smallest;) {  // what is shorter than a message is a gap
    const unsigned type = at.byte();
    const std::uint64_t size = at.number(2);
    const unsigned flags = at.byte();
    if (has_order) at.number(2);
    const std::string_view content = at.take(size);
    if (type == symbol_table_message) at.fail("is that of a group in HDF5's oldest form");
    if (!is_known(type)) at.fail(text("has a message of the unknown kind ", type));
    if (type == nil_message) continue;
    const bool shared = (flags & 0x02) != 0;
    if (type == continuation_message) {
      Cursor place(content, what);
      const std::uint64_t address = place.address();
      continuations.emplace_back(address, place.number(8));
      continue;
    }
    const bool many = type == link_message || type == attribute_message;
    if (!many && object.find(type)) at.fail(text("has two messages of kind ", type));
    if (object.messages.size() > most_entries) at.fail(text("has more than ", most_entries, " messages"));
    object.messages.push_back({type, shared, std::string(content)});
  }
}

void Structure::read_links(Object& object, const std::string& path) {
  const std::string what = "group " + path, place = name_ + ": a link of " + what;
  const auto add = [&](std::string_view content) {
    auto [link, value] = parse_link(content, place);
    if (!object.links.emplace(link, value).second) throw DataError(text(name_, ": ", what, " has two members named ", link));
  };
  for (const Message& message : object.messages)
    if (message.type == link_message) add(message.content);
  Cursor at(object.find(link_info_message)->content, name_ + ": the list of members of " + what);
  if (at.byte() != 0) at.fail("is of an unknown version");
  const unsigned flags = at.byte();
  if (flags >> 2 != 0) at.fail("has unknown flags");
  if (flags & 1) at.number(8);
  const std::uint64_t heap = at.address(), tree = at.address();
  if (heap == no_address) return;
  constexpr unsigned names = 5;  // records of [hash: 4][identifier in the heap: 7]
  FractalHeap store(*this, heap, what);
  for (const std::string& record : tree_records(*this, tree, names, 11, what)) add(store.get(std::string_view(record).substr(4)));
}

void Structure::read_attributes(Object& object, const std::string& path) {
  const std::string what = "attributes of " + path, place = name_ + ": one of the " + what;
  const auto add = [&](std::string_view content) {
    auto [attribute, value] = parse_attribute(content, place);
    if (!object.attributes.emplace(attribute, std::move(value)).second)
      throw DataError(text(name_, ": ", path, " has two attributes named ", attribute));
  };
  for (const Message& message : object.messages) {
    if (message.type != attribute_message) continue;
    if (message.shared) throw DataError(text(name_, ": an attribute of ", path, " is kept elsewhere (shared); such are not read"));
    add(message.content);
  }
  const Message* info = object.find(attribute_info_message);
  if (!info) return;
  Cursor at(info->content, name_ + ": the list of " + what);
  if (at.byte() != 0) at.fail("is of an unknown version");
  const unsigned flags = at.byte();
  if (flags >> 2 != 0) at.fail("has unknown flags");
  if (flags & 1) at.number(2);
  const std::uint64_t heap = at.address(), tree = at.address();
  if (heap == no_address) return;
  constexpr unsigned names = 8;  // records of [identifier in the heap: 8][flags: 1][order: 4][hash: 4]
  FractalHeap store(*this, heap, what);
  for (const std::string& record : tree_records(*this, tree, names, 17, what)) {
    if ((record[8] & 0x02) != 0) throw DataError(text(name_, ": an attribute of ", path, " is kept elsewhere (shared); such are not read"));
    add(store.get(std::string_view(record).substr(0, 8)));
  }
}

}  // namespace strata::h5
