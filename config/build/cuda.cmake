# Finds a CUDA 13 toolkit with cuBLASLt in the first of these places that has one: build/cuda, where run.sh and test.sh
# install a toolkit; the toolkit folder of the nvcc on PATH; /usr/local/cuda. This file sets
#   SOLARD_CUDA_INCLUDE   the toolkit's headers, which the tests of cuda/ need even if nothing is compiled for a device
#   SOLARD_HAS_CUDA       whether nvcc compiles cuda/
#   SOLARD_CUDART         libcudart_static.a
# Nothing is linked to cuBLASLt: the backend opens the library when it uses a device. CMake repeats the search whenever
# it configures the build.
if(NOT SOLARD_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "SOLARD_CUDA is '${SOLARD_CUDA}'; it must be AUTO, ON or OFF")
endif()
set(SOLARD_HAS_CUDA OFF)
set(SOLARD_CUDA_INCLUDE "")
set(SOLARD_CUDA_ROOT "")
unset(SOLARD_CUDART CACHE)

# solard_cuda_obstacle(result root): sets `result` to the reason why the toolkit in `root` cannot be used, or to an
# empty string. With the headers of another major version, the program would compile, but these headers would not match
# the cuBLASLt that it opens.
function(solard_cuda_obstacle result root)
  set(${result} "" PARENT_SCOPE)
  foreach(header IN ITEMS cublasLt.h cuda_runtime_api.h)
    if(NOT EXISTS ${root}/include/${header})
      set(${result} "no include/${header}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  file(STRINGS ${root}/include/cuda_runtime_api.h version REGEX "^#define CUDART_VERSION ")
  string(REGEX MATCH "[0-9]+" version "${version} 0")
  math(EXPR major "${version} / 1000")
  math(EXPR minor "${version} % 1000 / 10")
  if(NOT major EQUAL 13)
    set(${result} "is CUDA ${major}.${minor}" PARENT_SCOPE)
  endif()
endfunction()

find_program(nvcc_on_path nvcc NO_CACHE)
set(roots ${CMAKE_SOURCE_DIR}/build/cuda/nvidia/cu13)
if(nvcc_on_path)
  file(REAL_PATH ${nvcc_on_path} nvcc)
  cmake_path(GET nvcc PARENT_PATH bin)
  cmake_path(GET bin PARENT_PATH root)
  list(APPEND roots ${root})
endif()
list(APPEND roots /usr/local/cuda)
set(passed_over "")
foreach(root IN LISTS roots)
  solard_cuda_obstacle(obstacle ${root})
  if(SOLARD_CUDA_ROOT)
    break()
  elseif(obstacle)
    string(APPEND passed_over "; ${root}: ${obstacle}")
  else()
    set(SOLARD_CUDA_ROOT ${root})
    set(SOLARD_CUDA_INCLUDE ${root}/include)
  endif()
endforeach()

if(SOLARD_CUDA STREQUAL "OFF")
  set(passed_over "; SOLARD_CUDA is OFF")
elseif(SOLARD_CUDA_ROOT)
  find_library(SOLARD_CUDART cudart_static PATHS ${SOLARD_CUDA_ROOT}/lib ${SOLARD_CUDA_ROOT}/lib64
    NO_DEFAULT_PATH NO_CACHE)
  if(EXISTS ${SOLARD_CUDA_ROOT}/bin/nvcc AND SOLARD_CUDART)
    # Machine code for sm_89 (the target card) and sm_90 (Hopper), and PTX, which the driver compiles for all newer
    # cards.
    set(CMAKE_CUDA_ARCHITECTURES "89-real;90-real;89-virtual")
    set(CMAKE_CUDA_COMPILER ${SOLARD_CUDA_ROOT}/bin/nvcc)
    enable_language(CUDA)
    # CMake keeps the compiler of the first configuration, and would mix its code with the headers of another toolkit.
    if(NOT CMAKE_CUDA_COMPILER STREQUAL "${SOLARD_CUDA_ROOT}/bin/nvcc")
      message(FATAL_ERROR "${CMAKE_BINARY_DIR} was configured with ${CMAKE_CUDA_COMPILER}, but the "
        "first CUDA toolkit found is now ${SOLARD_CUDA_ROOT}. Remove the build folder, or configure with "
        "-DSOLARD_CUDA=OFF.")
    endif()
    # CMake 3.25 does not know nvcc's option for C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA_STANDARD 20)
    set(SOLARD_HAS_CUDA ON)
  else()
    set(passed_over "; ${SOLARD_CUDA_ROOT}: nvcc or cudart_static is missing")
  endif()
endif()
string(REGEX REPLACE "^; " "" passed_over "${passed_over}")
if(SOLARD_HAS_CUDA)
  message(STATUS "CUDA backend: ${CMAKE_CUDA_COMPILER}")
elseif(SOLARD_CUDA STREQUAL "ON")
  message(FATAL_ERROR "SOLARD_CUDA is ON, but no CUDA 13 toolkit with nvcc, cudart_static and cublasLt.h was found: ${passed_over}")
else()
  message(STATUS "CUDA backend: not built (${passed_over})")
endif()
