# cmake -C config/build/asan.cmake: a build with AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g" CACHE STRING "")
# Asio would recycle the memory of coroutine frames and handlers, which would hide a use after free. Two macros of Boost
# prevent this; they exist since Boost 1.81.
set(CMAKE_CXX_FLAGS
  "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DBOOST_ASIO_DISABLE_SMALL_BLOCK_RECYCLING -DBOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING"
  CACHE STRING "")
set(SOLARD_WEB OFF CACHE BOOL "")
set(SOLARD_CUDA OFF CACHE STRING "")
