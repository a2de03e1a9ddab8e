# cmake -C config/build/tsan.cmake: a build with ThreadSanitizer.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g" CACHE STRING "")
# g++ 12 warns about a fence inside Asio that ThreadSanitizer does not model. It also wrongly reports that the frame of
# a coroutine is allocated and freed by different allocators.
set(CMAKE_CXX_FLAGS "-fsanitize=thread -Wno-tsan -Wno-mismatched-new-delete" CACHE STRING "")
set(SOLARD_WEB OFF CACHE BOOL "")
set(SOLARD_CUDA OFF CACHE STRING "")
