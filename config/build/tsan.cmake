# cmake -C config/build/tsan.cmake: ThreadSanitizer.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g" CACHE STRING "")
# g++ 12 warns about a fence inside Asio that ThreadSanitizer does not model, and wrongly reports that a coroutine's frame
# is freed by another allocator than its own.
set(CMAKE_CXX_FLAGS "-fsanitize=thread -Wno-tsan -Wno-mismatched-new-delete" CACHE STRING "")
set(SOLARD_WEB OFF CACHE BOOL "")
set(SOLARD_CUDA OFF CACHE STRING "")
