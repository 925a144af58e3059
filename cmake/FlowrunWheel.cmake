# cmake --install --component wheel: the package `flowrun` as a wheel holds it (tools/wheel, and pip install of a clone).
#
#   flowrun/bin        the program, its library and its modules
#   flowrun/lib        libraries of this machine that others may lack: tools/wheel_kit/bundle.py copies them
#   flowrun/pipelines  the shipped pipelines
add_library(flowrun_jbig MODULE tools/wheel_kit/jbig.cpp)
set_target_properties(flowrun_jbig PROPERTIES PREFIX "" OUTPUT_NAME libjbig SUFFIX .so.0)
set(wheel COMPONENT wheel EXCLUDE_FROM_ALL)
install(TARGETS ${installed} ${wheel} RUNTIME DESTINATION flowrun/bin LIBRARY DESTINATION flowrun/bin)
install(TARGETS flowrun_jbig ${wheel} LIBRARY DESTINATION flowrun/lib)
install(DIRECTORY pipelines DESTINATION flowrun ${wheel})
# The libraries' paths of the build are still in what was installed; the last step replaces them.
install(CODE "execute_process(COMMAND \"${FLOWRUN_VENV}/bin/python\" \"${CMAKE_SOURCE_DIR}/tools/wheel_kit/bundle.py\"
                                      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/flowrun\" RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR \"the libraries could not be put into the package\")
  endif()" ${wheel})
