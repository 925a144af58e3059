# cmake --install: the program with its modules, and what a plug-in is built with.
#
# The program finds its library and its modules beside itself, and libraries of this machine where they were linked: the folder may be moved.
include(CMakePackageConfigHelpers)

set(installed flowrun flowrun_shared flowrun_memory)
if(TARGET flowrun_cuda)
  list(APPEND installed flowrun_cuda)
endif()
if(TARGET flowrun_arrow)
  list(APPEND installed flowrun_arrow)
endif()
set_target_properties(${installed} PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/../lib" INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS ${installed} RUNTIME DESTINATION bin LIBRARY DESTINATION bin)
install(DIRECTORY pipelines DESTINATION share/flowrun)
install(FILES tools/python/flowrun/hub.py DESTINATION share/flowrun)
install(DIRECTORY tools/python/flowrun/importers DESTINATION share/flowrun FILES_MATCHING PATTERN "*.py")
# Manual pages and completions are made by the program.
install(CODE "set(flowrun \"${CMAKE_BINARY_DIR}/bin/flowrun\")
set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share\")
execute_process(COMMAND \${flowrun} doc --man \${share}/man/man1 COMMAND_ERROR_IS_FATAL ANY)
foreach(shell bash:bash-completion/completions/flowrun zsh:zsh/site-functions/_flowrun fish:fish/vendor_completions.d/flowrun.fish)
  string(REPLACE \":\" \";\" pair \${shell})
  list(GET pair 0 name)
  list(GET pair 1 file)
  execute_process(COMMAND \${flowrun} completion \${name} OUTPUT_VARIABLE words COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE \${share}/\${file} \"\${words}\")
endforeach()")
# flowrun quickstart, flowrun export and flowrun import look for them beside the folder of their library.
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/pipelines ${CMAKE_BINARY_DIR}/pipelines SYMBOLIC)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/tools/python/flowrun/hub.py ${CMAKE_BINARY_DIR}/hub.py SYMBOLIC)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/tools/python/flowrun/importers ${CMAKE_BINARY_DIR}/importers SYMBOLIC)
install(DIRECTORY graph io nodes DESTINATION include/flowrun FILES_MATCHING PATTERN "*.h")
configure_package_config_file(cmake/flowrunConfig.cmake.in ${CMAKE_BINARY_DIR}/flowrunConfig.cmake INSTALL_DESTINATION lib/cmake/flowrun)
# Plug-ins fit one version of the headers.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/flowrunConfigVersion.cmake VERSION ${PROJECT_VERSION} COMPATIBILITY ExactVersion)
install(FILES ${CMAKE_BINARY_DIR}/flowrunConfig.cmake ${CMAKE_BINARY_DIR}/flowrunConfigVersion.cmake DESTINATION lib/cmake/flowrun)
include(FlowrunWheel)
