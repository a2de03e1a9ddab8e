# Finds a CUDA 13 toolkit with cuBLASLt: build/cuda, where run.sh and test.sh install it, else nvcc's own on PATH, else
# /usr/local/cuda. Sets
#   SOLARD_CUDA_INCLUDE   its headers, which the tests of cuda/ need even where nothing is compiled for a device
#   SOLARD_HAS_CUDA       whether nvcc compiles cuda/
#   SOLARD_CUDART         libcudart_static.a
# Nothing is linked to cuBLASLt: it is opened when a device is used.
set(SOLARD_HAS_CUDA OFF)
set(SOLARD_CUDA_INCLUDE "")
set(SOLARD_CUDA_ROOT "")
find_program(SOLARD_NVCC_ON_PATH nvcc)
set(roots ${CMAKE_SOURCE_DIR}/build/cuda/nvidia/cu13)
if(SOLARD_NVCC_ON_PATH)
  file(REAL_PATH ${SOLARD_NVCC_ON_PATH} nvcc)
  cmake_path(GET nvcc PARENT_PATH bin)
  cmake_path(GET bin PARENT_PATH root)
  list(APPEND roots ${root})
endif()
list(APPEND roots /usr/local/cuda)
foreach(root IN LISTS roots)
  if(NOT SOLARD_CUDA_ROOT AND EXISTS ${root}/include/cublasLt.h AND EXISTS ${root}/include/cuda_runtime_api.h)
    set(SOLARD_CUDA_ROOT ${root})
    set(SOLARD_CUDA_INCLUDE ${root}/include)
  endif()
endforeach()

if(SOLARD_CUDA_ROOT AND NOT SOLARD_CUDA STREQUAL "OFF")
  find_library(SOLARD_CUDART cudart_static PATHS ${SOLARD_CUDA_ROOT}/lib ${SOLARD_CUDA_ROOT}/lib64 NO_DEFAULT_PATH)
  if(EXISTS ${SOLARD_CUDA_ROOT}/bin/nvcc AND SOLARD_CUDART)
    # The target card, Hopper, and code for what comes between and after.
    set(CMAKE_CUDA_ARCHITECTURES "89-real;90-real;89-virtual")
    set(CMAKE_CUDA_COMPILER ${SOLARD_CUDA_ROOT}/bin/nvcc)
    enable_language(CUDA)
    # CMake 3.25 does not know nvcc's word for the dialect.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA_STANDARD 20)
    set(SOLARD_HAS_CUDA ON)
  endif()
endif()
if(SOLARD_CUDA STREQUAL "ON" AND NOT SOLARD_HAS_CUDA)
  message(FATAL_ERROR "SOLARD_CUDA is ON, but no CUDA 13 toolkit with nvcc, cudart_static and cublasLt.h was found in: ${roots}")
endif()
if(SOLARD_HAS_CUDA)
  message(STATUS "CUDA backend: ${CMAKE_CUDA_COMPILER}")
else()
  message(STATUS "CUDA backend: not built")
endif()
