# The CUDA half: one shared object of every room's .cu files, which the program loads when a deck asks for cuda. Nothing of CUDA is linked to the
# program itself. Tests build the same sources against the host emulation (test/emulation).
file(GLOB STRATA_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/cuda/*.cu)
# What of the rooms above is not in headers.
set(STRATA_CUDA_SHARED_SOURCES
  ${PROJECT_SOURCE_DIR}/src/base/clock.cpp ${PROJECT_SOURCE_DIR}/src/base/dtype.cpp ${PROJECT_SOURCE_DIR}/src/base/error.cpp
  ${PROJECT_SOURCE_DIR}/src/base/shape.cpp ${PROJECT_SOURCE_DIR}/src/base/version.cpp ${PROJECT_SOURCE_DIR}/src/device/tuning.cpp)

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
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra $<$<BOOL:${STRATA_WERROR}>:-Werror>>
    $<$<BOOL:${STRATA_WERROR}>:$<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Werror>>)
  # No kernels, so g++ compiles it, and quickly: the frontend takes minutes at -O3. cuDNN is opened when a deck asks for it: nothing of it is linked.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/ops/cuda/attention_cudnn.cu PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++;-O1")
  if(STRATA_HAS_CUDNN)
    target_include_directories(strata_cuda SYSTEM PRIVATE ${CUDNN_FRONTEND_INCLUDE_DIR} ${CUDNN_INCLUDE_DIR})
    target_compile_definitions(strata_cuda PRIVATE STRATA_WITH_CUDNN NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING)
    find_library(CUDNN_LIBRARY NAMES libcudnn.so.9 HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} $ENV{CUDNN_PATH} ${CUDNN_INCLUDE_DIR}/..
                 PATHS ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib lib64)
    if(CUDNN_LIBRARY)
      get_filename_component(folder ${CUDNN_LIBRARY} DIRECTORY)
      set_property(TARGET strata_cuda APPEND PROPERTY BUILD_RPATH ${folder})  # where dlopen() looks first
    endif()
  endif()
  # Without NCCL the data of several ranks goes through the host's memory.
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS $ENV{NCCL_HOME}/include ${CUDAToolkit_INCLUDE_DIRS})
  find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS $ENV{NCCL_HOME}/lib ${CUDAToolkit_LIBRARY_DIR})
  if(NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
    target_include_directories(strata_cuda SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
    target_link_libraries(strata_cuda PRIVATE ${NCCL_LIBRARY})
    target_compile_definitions(strata_cuda PRIVATE STRATA_WITH_NCCL)
  endif()
  install(TARGETS strata_cuda LIBRARY DESTINATION lib/strata)
endif()
