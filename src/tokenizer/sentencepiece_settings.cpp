// The few fields of a sentencepiece model file that decoding depends on, read from protocol buffers' wire format.
#include "strata/base/error.hpp"
#include "tokenizer/sentencepiece_model.hpp"

namespace strata {
namespace {

/// Walks over the fields of one message.
class Message {
 public:
  Message(std::string_view bytes, const std::string& source) : left_(bytes), source_(source) {}

  /// Moves to the next field; false at the end.
  bool next() {
    if (left_.empty()) return false;
    const std::uint64_t tag = varint();
    number = tag >> 3;
    content = {};
    value = 0;
    switch (tag & 7) {
      case 0:
        value = varint();
        break;
      case 1:
        content = take(8);
        break;
      case 2:
        content = take(varint());
        break;
      case 5:
        content = take(4);
        break;
      default:
        damaged();
    }
    return true;
  }

  std::uint64_t number = 0, value = 0;  // of the field; value of numbers, content of everything else
  std::string_view content;

 private:
  [[noreturn]] void damaged() const {
    throw DataError(text(source_, ": is not a sound sentencepiece model: its fields do not fit the file"));
  }
  std::string_view take(std::uint64_t bytes) {
    if (bytes > left_.size()) damaged();
    const std::string_view taken = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t result = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      result |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return result;
    }
    damaged();
  }

  std::string_view left_;
  const std::string& source_;
};

// Field numbers of sentencepiece_model.proto.
constexpr std::uint64_t trainer_spec = 2, normalizer_spec = 3, denormalizer_spec = 5;
constexpr std::uint64_t model_type = 3, whitespace_as_suffix = 24, byte_fallback = 35, unk_surface = 44;
constexpr std::uint64_t bpe = 2;  // of model_type
constexpr std::uint64_t charsmap = 2, add_dummy_prefix = 3, remove_extra_whitespaces = 4, escape_whitespaces = 5;

std::uint32_t unit_at(std::string_view bytes, std::size_t unit) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[4 * unit + i]);
  return value;
}

/// The library follows the character map's double array (Darts) without looking at its bounds. Here every step that any text could make is:
/// from each unit the block of 256 units that its offset leads to lies inside, and every leaf names a text that begins and ends inside.
/// Layout: [bytes of the array: u32][units: u32 each][texts, each closed by a zero].
void check_charsmap(std::string_view blob, const std::string& source) {
  const auto need = [&](bool sound) {
    if (!sound) throw DataError(text(source, ": the model's character map is damaged: it leads out of itself"));
  };
  if (blob.empty()) return;
  need(blob.size() > 4);
  const std::size_t array = unit_at(blob, 0);
  need(array >= 4 && array % 4 == 0 && array < blob.size() - 4 && blob.back() == '\0');
  const std::string_view units = blob.substr(4, array);
  const std::size_t count = array / 4, texts = blob.size() - 4 - array;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t unit = unit_at(units, i);
    if (unit >> 31 != 0) {
      need((unit & 0x7fffffffu) < texts);  // a leaf: the place of its text
      continue;
    }
    const std::size_t offset = static_cast<std::size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6);
    need(((i ^ offset) | 0xff) < count);
    const bool has_leaf = (unit & (1u << 8)) != 0;
    need(!has_leaf || unit_at(units, i ^ offset) >> 31 != 0);
  }
}

void read_trainer(Message message, const std::string& source, SentencePieceSettings& settings) {
  while (message.next()) {
    if (message.number == model_type) settings.is_bpe = message.value == bpe;
    if (message.number == byte_fallback) settings.byte_fallback = message.value != 0;
    if (message.number == unk_surface) settings.unknown_surface = message.content;
    if (message.number == whitespace_as_suffix && message.value)
      throw DataError(text(source, ": the model puts blanks at the end of words (treat_whitespace_as_suffix), which Strata does not know"));
  }
}

}  // namespace

SentencePieceSettings read_sentencepiece_settings(std::string_view model, const std::string& source) {
  SentencePieceSettings settings;
  Message root(model, source);
  while (root.next()) {
    Message part(root.content, source);
    if (root.number == trainer_spec) read_trainer(part, source, settings);
    if (root.number == normalizer_spec)
      while (part.next()) {
        if (part.number == charsmap) check_charsmap(part.content, source), settings.maps_characters = !part.content.empty();
        if (part.number == add_dummy_prefix) settings.adds_first_blank = part.value != 0;
        if (part.number == remove_extra_whitespaces) settings.removes_extra_blanks = part.value != 0;
        if (part.number == escape_whitespaces) settings.escapes_blanks = part.value != 0;
      }
    if (root.number == denormalizer_spec)
      while (part.next())
        if (part.number == charsmap && !part.content.empty())
          throw DataError(text(source, ": the model changes characters after decoding (denormalizer_spec), which Strata does not know"));
  }
  return settings;
}

}  // namespace strata
