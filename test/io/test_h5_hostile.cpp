// Hostile but valid HDF5 files: each construct that reads other files, explodes or lies about its size is refused with its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <functional>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/io/h5.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using ::testing::HasSubstr;

std::string data_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

/// Makes a file with the library, in the newer of its formats, which is the one read; `fill` adds one construct. Identifiers are closed by
/// H5Fclose's strong degree and by hand.
class Hostile : public ::testing::Test {
 protected:
  void make(const std::function<void(hid_t)>& fill) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    const hid_t file = H5Fcreate(path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
    ASSERT_GE(file, 0);
    fill(file);
    ASSERT_GE(H5Fclose(file), 0);
    H5Pclose(access);
  }
  static void dataset(hid_t file, const char* name, hid_t type, std::vector<hsize_t> dims, const std::function<void(hid_t)>& set = {}) {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (set) set(list);
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t id = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    EXPECT_GE(id, 0);
    H5Dclose(id);
    H5Sclose(space);
    H5Pclose(list);
  }
  std::string refusal(const std::string& object = "/w") {
    return data_error([&] { h5::File(path()).dataset(object); });
  }
  std::string path() const { return (folder_ / "evil.h5").string(); }
  std::string target() const { return (folder_ / "target").string(); }

  test::TemporaryFolder folder_;
};

TEST_F(Hostile, ExternalStorage) {
  test::write_file(target(), std::string(1024, 's'));
  make([&](hid_t file) {
    dataset(file, "w", H5T_NATIVE_UCHAR, {1024}, [&](hid_t list) { H5Pset_external(list, target().c_str(), 0, 1024); });
  });
  EXPECT_THAT(refusal(), HasSubstr("/w keeps its data in an external file"));
}

TEST_F(Hostile, ExternalLink) {
  make([&](hid_t file) { H5Lcreate_external(target().c_str(), "/w", file, "w", H5P_DEFAULT, H5P_DEFAULT); });
  EXPECT_THAT(refusal(), HasSubstr("/w is a soft or external link"));
  EXPECT_THAT(refusal("/w/deeper"), HasSubstr("/w is a soft or external link"));
  EXPECT_THAT(data_error([&] { h5::File(path()).children("/"); }), HasSubstr("group / holds w, a soft or external link"));
  EXPECT_THAT(data_error([&] { h5::File(path()).has("/w"); }), HasSubstr("/w is a soft or external link"));
  EXPECT_THAT(data_error([&] { h5::File(path()).integer("/w", "x"); }), HasSubstr("/w is a soft or external link"));
}

TEST_F(Hostile, SoftLink) {
  make([&](hid_t file) {
    dataset(file, "real", H5T_STD_U8LE, {4});
    H5Lcreate_soft("/real", file, "w", H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_THAT(refusal(), HasSubstr("/w is a soft or external link"));
}

TEST_F(Hostile, VirtualDataset) {
  make([&](hid_t file) {
    hsize_t n = 1024;
    const hid_t space = H5Screate_simple(1, &n, nullptr);
    dataset(file, "w", H5T_STD_U8LE, {n}, [&](hid_t list) { H5Pset_virtual(list, space, target().c_str(), "w", space); });
    H5Sclose(space);
  });
  EXPECT_THAT(refusal(), HasSubstr("/w is a virtual dataset"));
}

TEST_F(Hostile, CompressionBomb) {
  make([&](hid_t file) {
    dataset(file, "w", H5T_STD_U8LE, {1u << 31}, [](hid_t list) {
      const hsize_t chunk = 1 << 20;
      H5Pset_chunk(list, 1, &chunk);
      H5Pset_deflate(list, 9);
    });
  });
  EXPECT_THAT(refusal(), HasSubstr("/w is stored in chunks"));
}

TEST_F(Hostile, ClaimsMoreThanTheFile) {
  make([&](hid_t file) { dataset(file, "w", H5T_STD_U8LE, {hsize_t{1} << 50}); });
  EXPECT_THAT(refusal(), HasSubstr("/w claims to be larger than the whole file"));
}

TEST_F(Hostile, ClaimsAlmostAllAnIntegerHolds) {
  make([&](hid_t file) { dataset(file, "w", H5T_IEEE_F64LE, {hsize_t{1} << 30, hsize_t{1} << 29, 1}); });
  EXPECT_THAT(refusal(), HasSubstr("/w claims to be larger than the whole file"));
}

TEST_F(Hostile, NeverAllocatedReadsNotAsZeros) {
  make([&](hid_t file) { dataset(file, "w", H5T_STD_U8LE, {16}); });
  EXPECT_THAT(refusal(), HasSubstr("/w claims 16 bytes, but 0 are stored"));
}

TEST_F(Hostile, CompactStorage) {
  make([&](hid_t file) { dataset(file, "w", H5T_STD_U8LE, {16}, [](hid_t list) { H5Pset_layout(list, H5D_COMPACT); }); });
  EXPECT_THAT(refusal(), HasSubstr("only contiguous datasets are read"));
}

TEST_F(Hostile, VariableLengthAndCompoundAndBigEndianTypes) {
  make([&](hid_t file) {
    const hid_t vlen = H5Tvlen_create(H5T_STD_U8LE);
    dataset(file, "vlen", vlen, {4});
    H5Tclose(vlen);
    const hid_t pair = H5Tcreate(H5T_COMPOUND, 8);
    H5Tinsert(pair, "a", 0, H5T_STD_I32LE);
    dataset(file, "pair", pair, {4});
    H5Tclose(pair);
    dataset(file, "big", H5T_IEEE_F32BE, {4});
    dataset(file, "five", H5T_STD_U8LE, {1, 1, 1, 1, 1});
  });
  EXPECT_THAT(refusal("/vlen"), HasSubstr("/vlen holds elements that are neither integers nor"));
  EXPECT_THAT(refusal("/pair"), HasSubstr("/pair holds elements that are neither integers nor"));
  EXPECT_THAT(refusal("/big"), HasSubstr("/big holds a number type this program does not read"));
  EXPECT_THAT(refusal("/five"), HasSubstr("/five has 5 dimensions"));
}

TEST_F(Hostile, GroupThatContainsItself) {
  make([&](hid_t file) {
    H5Gclose(H5Gcreate2(file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (const char* name : {"/g/a", "/g/b", "/g/c"}) H5Lcreate_hard(file, "/g", file, name, H5P_DEFAULT, H5P_DEFAULT);
  });
  EXPECT_THAT(data_error([&] { h5::File(path()).datasets_below("/"); }), HasSubstr("levels deep"));
}

TEST_F(Hostile, UserDefinedLink) {
  make([&](hid_t file) {
    H5L_class_t kind{};
    kind.version = H5L_LINK_CLASS_T_VERS, kind.id = static_cast<H5L_type_t>(H5L_TYPE_UD_MIN + 100);
    kind.trav_func = [](const char*, hid_t, const void*, std::size_t, hid_t, hid_t) -> hid_t { return -1; };
    H5Lregister(&kind);
    H5Lcreate_ud(file, "w", kind.id, "anything", 8, H5P_DEFAULT, H5P_DEFAULT);
    H5Lunregister(kind.id);
  });
  EXPECT_THAT(refusal(), HasSubstr("/w is a soft or external link"));
  EXPECT_THAT(data_error([&] { h5::File(path()).datasets_below("/"); }), HasSubstr("group / holds w, a soft or external link"));
}

TEST_F(Hostile, CommittedType) {
  make([&](hid_t file) {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tcommit2(file, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    dataset(file, "w", type, {4});
    H5Tclose(type);
  });
  EXPECT_THAT(refusal(), HasSubstr("/w has a type that is kept elsewhere (a named type)"));
  EXPECT_THAT(refusal("/type"), HasSubstr("/type is expected to be a dataset and is not"));
  EXPECT_THAT(data_error([&] { h5::File(path()).datasets_below("/"); }), HasSubstr("/type is neither a group nor a dataset"));
}

TEST_F(Hostile, DeepGroups) {
  make([&](hid_t file) {
    hid_t above = H5Gopen2(file, "/", H5P_DEFAULT);
    for (int i = 0; i < 5000; ++i) {
      const hid_t below = H5Gcreate2(above, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Gclose(above);
      above = below;
    }
    H5Gclose(above);
  });
  EXPECT_THAT(data_error([&] { h5::File(path()).datasets_below("/"); }), HasSubstr("groups lie more than 8 levels deep at /g/g/g"));
}

TEST_F(Hostile, FilterOfAPlugin) {
  make([&](hid_t file) {
    dataset(file, "w", H5T_STD_U8LE, {64}, [](hid_t list) {
      const hsize_t chunk = 16;
      H5Pset_chunk(list, 1, &chunk);
      H5Pset_filter(list, 32015, H5Z_FLAG_OPTIONAL, 0, nullptr);  // zstd, which would be a plugin
    });
  });
  EXPECT_THAT(refusal(), HasSubstr("/w is stored in chunks"));
}

TEST_F(Hostile, NullShapeAndSignedBytes) {
  make([&](hid_t file) {
    const hid_t space = H5Screate(H5S_NULL);
    H5Dclose(H5Dcreate2(file, "null", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    dataset(file, "i8", H5T_STD_I8LE, {4});
    const hid_t odd = H5Tcopy(H5T_STD_I32LE);
    H5Tset_precision(odd, 20);
    dataset(file, "odd", odd, {4});
    H5Tclose(odd);
  });
  EXPECT_THAT(refusal("/null"), HasSubstr("/null has no shape"));
  EXPECT_THAT(refusal("/i8"), HasSubstr("/i8 holds a number type this program does not read (1 bytes per element)"));
  EXPECT_THAT(refusal("/odd"), HasSubstr("/odd holds a number type this program does not read (4 bytes per element)"));
}

// HDF5's oldest form has no checksums, and its decoders most of the known faults.
TEST_F(Hostile, TheOldestFormatIsRefusedWithTheWayOut) {
  const hid_t file = H5Fcreate(path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  dataset(file, "w", H5T_STD_U8LE, {4});
  H5Fclose(file);
  EXPECT_THAT(refusal(), HasSubstr("its structure is of version 0; 2 and 3 are read, which HDF5 writes with library bounds from V18 on"));
}

TEST_F(Hostile, NamedPipesAndDevicesDoNotHoldUsUp) {
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(data_error([&] { h5::File file(pipe); }), HasSubstr("not a plain file"));
  EXPECT_THAT(data_error([&] { FileHandle file(pipe, FileHandle::Mode::read); }),
              HasSubstr("expected a file, found a pipe, device or socket"));
  EXPECT_THAT(data_error([&] { FileHandle file("/dev/zero", FileHandle::Mode::read); }), HasSubstr("found a pipe, device or socket"));
}

TEST_F(Hostile, AttributesOfOddTypes) {
  make([&](hid_t file) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t scalar = H5Screate(H5S_SCALAR);
    H5Aclose(H5Acreate2(file, "vlen", type, scalar, H5P_DEFAULT, H5P_DEFAULT));
    hsize_t n = 7;
    const hid_t seven = H5Screate_simple(1, &n, nullptr);
    H5Aclose(H5Acreate2(file, "many", H5T_STD_I64LE, seven, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(scalar), H5Sclose(seven), H5Tclose(type);
  });
  EXPECT_THAT(data_error([&] { h5::File(path()).string("/", "vlen"); }),
              HasSubstr("vlen of / is neither a number nor a text of fixed length"));
  EXPECT_THAT(data_error([&] { h5::File(path()).integer("/", "many"); }), HasSubstr("many of / is not a single value"));
}

TEST_F(Hostile, UnknownDtypeAttribute) {
  h5::create_file(path(), {{"/w", DType::u16, {4}}}, {{"/w", "dtype", std::string("f8_e4m3")}});
  EXPECT_THAT(refusal(), HasSubstr("/w has the unknown dtype 'f8_e4m3'"));
}

TEST_F(Hostile, AnOrdinaryFileOfAnotherProgramIsAccepted) {
  make([&](hid_t file) { dataset(file, "w", H5T_IEEE_F32LE, {16}, [](hid_t list) { H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY); }); });
  EXPECT_EQ(h5::File(path()).dataset("/w").elements(), 16);
}

}  // namespace
