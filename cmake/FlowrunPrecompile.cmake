function(flowrun_precompiled_options target)
  set(options -fpch-preprocess)  # lets ccache see what is in it
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 warns falsely of strings whose headers are precompiled.
    list(APPEND options -Wno-array-bounds)
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${options}>")
endfunction()

# Headers of others that are parsed once for a target, and for the targets of the function below. It pays most for LibTorch's: a node
# of the device compiles in 3.8 s of CPU time in place of 8.9. Those of the C++ library alone save every file half a second.
# Headers of Flowrun stay out, so that a change of one does not rebuild everything. Every file still includes what it uses.
# A file with options of its own needs SKIP_PRECOMPILE_HEADERS: GCC takes the options of the precompiled header.
function(flowrun_precompile target)
  # With other compilers than GCC the compiler cache would miss everything that uses a precompiled header.
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  target_precompile_headers(${target} PRIVATE
    <algorithm> <array> <atomic> <cmath> <cstdint> <cstdio> <cstring> <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span> <stdexcept>
    <string> <string_view> <utility> <vector> ${ARGN})
  flowrun_precompiled_options(${target})
endfunction()

# A library of nothing but precompiled headers, for the targets of the function below: GCC refuses precompiled headers that were made with
# a definition which the file does not have, so these are made without any.
function(flowrun_precompiled_library name)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE flowrun_options)
  flowrun_precompile(${name})
endfunction()

# The targets must be compiled with the same options as the library.
function(flowrun_precompiled_as library)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    foreach(target ${ARGN})
      target_precompile_headers(${target} REUSE_FROM ${library})
      flowrun_precompiled_options(${target})
    endforeach()
  endif()
endfunction()
