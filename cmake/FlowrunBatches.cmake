# A first build takes half the time, because one compilation takes several files of a folder: parsing headers and instantiating
# their templates is most of what a small file costs (docs/decisions/040-files-compiled-together.md). A changed file compiles its
# batch again, in two to three times the time of the file alone. FLOWRUN_BATCH=1 compiles each file by itself, and then a missing
# #include shows.
set(FLOWRUN_BATCH 8 CACHE STRING "Files that are compiled together at most; 1: each by itself")

# Sets `out` to the sources of a target, batched. Files with options of their own stay by themselves.
function(flowrun_batched out name)
  set(result)
  set(folders)
  foreach(path ${ARGN})
    get_source_file_property(options ${path} COMPILE_OPTIONS)
    if(FLOWRUN_BATCH LESS 2 OR options)
      list(APPEND result ${path})
    else()
      file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${path})
      get_filename_component(folder ${relative} DIRECTORY)
      string(REPLACE "/" "_" folder ${folder})
      list(APPEND folders ${folder})
      list(APPEND files_${folder} ${relative})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder ${folders})
    set(number 0)
    while(files_${folder})
      list(SUBLIST files_${folder} 0 ${FLOWRUN_BATCH} files)
      list(REMOVE_ITEM files_${folder} ${files})
      list(TRANSFORM files REPLACE "(.+)" "#include \"\\1\"\n")
      string(CONCAT text ${files})
      set(batch ${CMAKE_BINARY_DIR}/batches/${name}/${folder}_${number}.cpp)
      file(CONFIGURE OUTPUT ${batch} CONTENT "${text}")  # written only if it differs
      # True of a header, not of a file that is compiled once.
      set_source_files_properties(${batch} PROPERTIES COMPILE_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
      list(APPEND result ${batch})
      math(EXPR number "${number} + 1")
    endwhile()
  endforeach()
  set(${out} ${result} PARENT_SCOPE)
endfunction()
