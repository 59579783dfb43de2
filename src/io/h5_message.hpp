#pragma once
// What the messages of an object header say: types, shapes, storage and attribute values.
#include <vector>

#include "io/h5_structure.hpp"
#include "strata/base/dtype.hpp"
#include "strata/io/h5.hpp"

namespace strata::h5 {

/// Where a dataset's bytes are; nothing where no space was given.
struct Extent {
  std::uint64_t address = no_address, bytes = 0;
};

// `what` names file and object. All throw DataError for what is not read.

/// The storage of a contiguous dataset; anything else - chunks, the header, filters, external files, virtual datasets - is refused by name.
Extent contiguous_extent(const Object& dataset, const std::string& what);
/// The element type before the attribute dtype is asked.
DType element_type(const Object& dataset, const std::string& what);
/// At most four dimensions.
std::vector<std::int64_t> shape_of(const Object& dataset, const std::string& what);
/// One number or one text of fixed length.
AttributeValue attribute_value(const RawAttribute& attribute, const std::string& what);

}  // namespace strata::h5
