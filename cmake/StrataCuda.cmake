# The CUDA half: one shared object of every room's .cu files, which the program loads when a deck asks for cuda. Nothing of CUDA is linked to the
# program itself. Tests build the same sources against the host emulation (test/emulation).
file(GLOB STRATA_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/cuda/*.cu)
# What of the rooms above is not in headers.
set(STRATA_CUDA_SHARED_SOURCES
  ${PROJECT_SOURCE_DIR}/src/base/clock.cpp ${PROJECT_SOURCE_DIR}/src/base/dtype.cpp ${PROJECT_SOURCE_DIR}/src/base/error.cpp
  ${PROJECT_SOURCE_DIR}/src/base/shape.cpp ${PROJECT_SOURCE_DIR}/src/base/version.cpp)

# strata_cuda_half(<target> SOURCES ...): exports its entry alone.
function(strata_cuda_half target)
  cmake_parse_arguments(HALF "" "" "SOURCES" ${ARGN})
  add_library(${target} MODULE ${HALF_SOURCES} ${STRATA_CUDA_SHARED_SOURCES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/generated)
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} CXX_VISIBILITY_PRESET default)
endfunction()

if(STRATA_HAS_CUDA)
  strata_cuda_half(strata_cuda SOURCES ${STRATA_CUDA_SOURCES})
  target_link_libraries(strata_cuda PRIVATE CUDA::cudart_static CUDA::cublasLt)
  target_compile_options(strata_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra --expt-relaxed-constexpr --extended-lambda -lineinfo>
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>
    $<$<BOOL:${STRATA_WERROR}>:$<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Werror>>)
  install(TARGETS strata_cuda LIBRARY DESTINATION lib/strata)
endif()
