# cmake -C config/build/release.cmake: the variant which run.sh and test.sh build in build/release.
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
