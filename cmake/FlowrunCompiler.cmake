# How everything is compiled: here, and where the Python module is built alone (tools/python/CMakeLists.txt).
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
if(CMAKE_BUILD_TYPE STREQUAL RelWithDebInfo)
  # -g1: stack traces with lines, at a third of the object size of -g.
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
endif()
# Equal sources in another clone, or in another build folder, are found in the cache: paths inside the clone count as
# relative, and the working folder in the debug information does not count at all.
find_program(CCACHE ccache)
if(CCACHE)
  get_filename_component(flowrun_root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
  set(compiler_cache ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${flowrun_root}
      CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})  # the latter is what precompiled headers need
  set(CMAKE_CXX_COMPILER_LAUNCHER ${compiler_cache})
endif()
