# The Python package: `flowrun` in ${CMAKE_BINARY_DIR}/python, with the extension flowrun._core beside its Python files. A wheel holds the same.
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(package ${CMAKE_BINARY_DIR}/python/flowrun)
# Links: what is edited is what runs. Nodes in Python need these files alone.
file(GLOB python_files CONFIGURE_DEPENDS ${root}/tools/python/flowrun/*.py ${root}/tools/python/flowrun/*.pyi
                                         ${root}/tools/python/flowrun/py.typed)
file(MAKE_DIRECTORY ${package})
foreach(path ${python_files})
  get_filename_component(name ${path} NAME)
  file(CREATE_LINK ${path} ${package}/${name} SYMBOLIC)
endforeach()

file(CREATE_LINK ${root}/tools/python/flowrun/importers ${package}/importers SYMBOLIC)

set(FLOWRUN_PYTHON_PROGRAM "${FLOWRUN_VENV}/bin/python" CACHE FILEPATH "The interpreter whose extension is built; from 3.12 on it fits all newer ones, too")
if(FLOWRUN_PYTHON STREQUAL "off")
  return()
endif()
set(Python_EXECUTABLE "${FLOWRUN_PYTHON_PROGRAM}")
find_package(Python 3.11 COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${FLOWRUN_VENV}/bin/python -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(Python_Development.Module_FOUND AND nanobind_ROOT)
  find_package(nanobind CONFIG)
endif()
# CMake knows it from 3.26 on; nanobind needs no more of it than that it is there.
if(Python_Development.Module_FOUND AND NOT TARGET Python::SABIModule)
  add_library(Python::SABIModule INTERFACE IMPORTED)
endif()
if(NOT nanobind_FOUND)
  if(FLOWRUN_PYTHON STREQUAL "on")
    message(FATAL_ERROR "FLOWRUN_PYTHON is on, but nanobind or Python's headers are missing: run tools/setup --test")
  endif()
  message(STATUS "The Python module is left out: it needs nanobind and Python's headers (tools/setup --test)")
  return()
endif()

nanobind_add_module(flowrun_python NB_STATIC STABLE_ABI NB_SUPPRESS_WARNINGS ${root}/tools/python/module.cpp)
target_link_libraries(flowrun_python PRIVATE flowrun_shared)
set_target_properties(flowrun_python PROPERTIES OUTPUT_NAME _core LIBRARY_OUTPUT_DIRECTORY ${package} BUILD_RPATH "$ORIGIN/../../bin" BUILD_RPATH_USE_ORIGIN ON
                                                INSTALL_RPATH "$ORIGIN/bin")
# In a wheel (cmake/FlowrunWheel.cmake) beside the same files.
install(TARGETS flowrun_python COMPONENT wheel EXCLUDE_FROM_ALL LIBRARY DESTINATION flowrun)
