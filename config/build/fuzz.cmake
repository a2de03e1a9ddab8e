# cmake -C config/build/fuzz.cmake: a build of the fuzz targets with Clang's libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer.
set(CMAKE_CXX_COMPILER clang++-19 CACHE STRING "")
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g" CACHE STRING "")
# libstdc++ 12 itself uses functions that it deprecates.
set(CMAKE_CXX_FLAGS
  "-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-deprecated-declarations"
  CACHE STRING "")
set(SOLARD_WEB OFF CACHE BOOL "")
set(SOLARD_CUDA OFF CACHE STRING "")
# XGrammar does not compile with clang, and no target needs it.
set(SOLARD_GRAMMARS OFF CACHE STRING "")
