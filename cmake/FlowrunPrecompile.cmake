# Headers of others that are parsed once for a target. It pays for LibTorch's: a node of the device compiles in 3.8 s of CPU time
# in place of 8.9. With those of the C++ library and of nlohmann/json alone it gained a tenth, and GCC 12 warns falsely of strings
# then. Headers of Flowrun stay out, so that a change of one does not rebuild everything. Every file still includes what it uses.
function(flowrun_precompile target)
  # With other compilers than GCC the compiler cache would miss everything that uses a precompiled header.
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  target_precompile_headers(${target} PRIVATE
    <algorithm> <array> <atomic> <cmath> <cstdint> <cstdio> <cstring> <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span> <stdexcept>
    <string> <string_view> <utility> <vector> ${ARGN})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # lets ccache see what is in it
endfunction()

# Takes the precompiled headers of another target, which must have the same options and no definition that these targets lack.
function(flowrun_precompiled_as other)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    foreach(target ${ARGN})
      target_precompile_headers(${target} REUSE_FROM ${other})
      target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
    endforeach()
  endif()
endfunction()
