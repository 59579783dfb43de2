# Build options, compiler flags and warnings.
set(STRATA_ARCH native CACHE STRING "Value of -march; use x86-64-v3 or x86-64-v4 where compute nodes differ from the build machine")
option(STRATA_WERROR "Treat warnings as errors" ON)
set(STRATA_CUDA AUTO CACHE STRING "CUDA backend: AUTO (if a toolkit is found), ON, OFF")
set(STRATA_SANITIZE "" CACHE STRING "Sanitizers for every target, as in address,undefined or thread")
set(STRATA_FAULTS AUTO CACHE STRING "The key run.fault, which breaks runs on purpose for tests: AUTO (where tests are built), ON, OFF")
option(STRATA_FUZZ "Build the libFuzzer targets (clang only)" OFF)

set(STRATA_HAS_FAULTS 0)
if(STRATA_FAULTS STREQUAL "ON" OR (STRATA_FAULTS STREQUAL "AUTO" AND (NOT DEFINED BUILD_TESTING OR BUILD_TESTING)))
  set(STRATA_HAS_FAULTS 1)
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

add_library(strata_flags INTERFACE)
# No contraction of a*b+c: an expression then has the same bits in a vector body, in its scalar tail and in every translation unit.
# Code that wants a fused multiply-add says std::fma. No errno: square roots vectorise.
target_compile_options(strata_flags INTERFACE
  -march=${STRATA_ARCH} -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-maybe-uninitialized  # GCC 12 reports it falsely inside nlohmann/json at -O3
  -Wno-restrict             # GCC 12 reports it falsely for string concatenation (its bug 105651)
  $<$<BOOL:${STRATA_WERROR}>:-Werror>
  $<$<CONFIG:Release>:-O3> $<$<CONFIG:Debug>:-O1>)
target_include_directories(strata_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)
if(STRATA_SANITIZE)
  target_compile_options(strata_flags INTERFACE -fsanitize=${STRATA_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(strata_flags INTERFACE -fsanitize=${STRATA_SANITIZE})
  add_library(strata_keep_libraries OBJECT ${PROJECT_SOURCE_DIR}/test/support/keep_libraries.cpp)
  target_link_libraries(strata_flags INTERFACE $<TARGET_OBJECTS:strata_keep_libraries>)
endif()
# Assertions stay on in every build type: a broken invariant costs a run more than a branch does.
string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")

include(CheckLanguage)
set(STRATA_HAS_CUDA 0)
if(NOT STRATA_CUDA STREQUAL "OFF")
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPUs to build for; newer ones than the last take its PTX")
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit 12 REQUIRED)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc takes it
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(STRATA_HAS_CUDA 1)
  elseif(STRATA_CUDA STREQUAL "ON")
    message(FATAL_ERROR "STRATA_CUDA=ON, but no CUDA compiler was found: put nvcc on PATH or set CMAKE_CUDA_COMPILER")
  endif()
endif()
