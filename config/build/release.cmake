# cmake -C config/build/release.cmake: what run.sh and test.sh build in build/release.
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
