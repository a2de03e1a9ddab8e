# Builds XGrammar, which constrains answers to a grammar, as the static library solard_xgrammar. Its own CMake file is not
# used: it adds flags that would differ from those of the rest. This file sets SOLARD_HAS_GRAMMARS.
set(SOLARD_GRAMMARS AUTO CACHE STRING "Serve answers with a grammar: AUTO (if build/xgrammar is there), ON or OFF")
if(NOT SOLARD_GRAMMARS MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "SOLARD_GRAMMARS is '${SOLARD_GRAMMARS}'; it must be AUTO, ON or OFF")
endif()
set(xgrammar ${CMAKE_SOURCE_DIR}/build/xgrammar)
set(SOLARD_HAS_GRAMMARS OFF)
if(NOT SOLARD_GRAMMARS STREQUAL "OFF" AND EXISTS ${xgrammar}/include/xgrammar/xgrammar.h)
  set(SOLARD_HAS_GRAMMARS ON)
elseif(SOLARD_GRAMMARS STREQUAL "ON")
  message(FATAL_ERROR "SOLARD_GRAMMARS is ON, but ${xgrammar} has no XGrammar; run.sh and test.sh unpack it there")
endif()
message(STATUS "Answers with a grammar (XGrammar): ${SOLARD_HAS_GRAMMARS}")
if(SOLARD_HAS_GRAMMARS)
  file(GLOB xgrammar_sources CONFIGURE_DEPENDS ${xgrammar}/cpp/*.cc ${xgrammar}/cpp/support/*.cc
    ${xgrammar}/cpp/converter_ext/*.cc)
  add_library(solard_xgrammar STATIC ${xgrammar_sources})
  target_include_directories(solard_xgrammar SYSTEM PUBLIC ${xgrammar}/include ${xgrammar}/3rdparty/dlpack/include
    ${xgrammar}/3rdparty/picojson ${xgrammar}/cpp)
  target_compile_options(solard_xgrammar PRIVATE -w)
  # With XGRAMMAR_LOG_CUSTOMIZE, inference/grammar/compiler.cpp gets the library's messages instead of stderr.
  target_compile_definitions(solard_xgrammar PRIVATE XGRAMMAR_ENABLE_CPPTRACE=0 XGRAMMAR_LOG_CUSTOMIZE=1)
  target_link_libraries(solard_xgrammar PUBLIC Threads::Threads)
endif()
