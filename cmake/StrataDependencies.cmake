# Libraries, all of them Debian packages; each becomes one target named strata_dep_<name>.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS C)
set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C)
# Not find_package(dnnl): Debian's package file asks for OpenCL headers that Strata does not use.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED HINTS $ENV{DNNLROOT}/include)
find_library(DNNL_LIBRARY dnnl REQUIRED HINTS $ENV{DNNLROOT}/lib)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(Boost REQUIRED COMPONENTS program_options iostreams)
find_package(nlohmann_json REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
# Not by pkg-config: Ubuntu's sentencepiece.pc asks for protobuf-lite, which its package does not bring and nothing here needs.
find_path(SENTENCEPIECE_INCLUDE_DIR sentencepiece_trainer.h REQUIRED)
find_library(SENTENCEPIECE_LIBRARY sentencepiece REQUIRED)
find_library(SENTENCEPIECE_TRAIN_LIBRARY sentencepiece_train REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)

add_library(strata_dep_mpi INTERFACE)
target_link_libraries(strata_dep_mpi INTERFACE MPI::MPI_C)
# Only the C interface is linked: keep mpi.h from declaring the C++ one.
target_compile_definitions(strata_dep_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)

add_library(strata_dep_hdf5 INTERFACE)
target_include_directories(strata_dep_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(strata_dep_hdf5 INTERFACE ${HDF5_C_LIBRARIES} MPI::MPI_C)

add_library(strata_dep_dnnl INTERFACE)
target_include_directories(strata_dep_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(strata_dep_dnnl INTERFACE ${DNNL_LIBRARY})

add_library(strata_dep_sentencepiece INTERFACE)
target_include_directories(strata_dep_sentencepiece SYSTEM INTERFACE ${SENTENCEPIECE_INCLUDE_DIR})
target_link_libraries(strata_dep_sentencepiece INTERFACE ${SENTENCEPIECE_LIBRARY} ${SENTENCEPIECE_TRAIN_LIBRARY})
