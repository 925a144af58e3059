# Packages: Debian's if they are well maintained, LibTorch and oneTBB from the virtual environment that tools/setup
# makes.
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)
find_package(hwy REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(TIFF 4.5 REQUIRED)
find_package(GIF 5 REQUIRED)
find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(WEBP_LIBRARY webp REQUIRED)
find_library(WEBP_DEMUX_LIBRARY webpdemux REQUIRED)
find_library(ZSTD_LIBRARY zstd REQUIRED)

set(FLOWRUN_VENV "$ENV{FLOWRUN_VENV}" CACHE PATH "The environment that tools/setup printed")
if(NOT EXISTS "${FLOWRUN_VENV}/bin/python")
  message(FATAL_ERROR "FLOWRUN_VENV is '${FLOWRUN_VENV}': run tools/setup and pass the path it prints as -DFLOWRUN_VENV=…")
endif()
file(GLOB FLOWRUN_SITE LIST_DIRECTORIES true "${FLOWRUN_VENV}/lib/python3*/site-packages")

list(APPEND CMAKE_PREFIX_PATH "${FLOWRUN_VENV}")
find_package(TBB 2022 REQUIRED CONFIG)

if(NOT FLOWRUN_HOST_ONLY)
  find_package(CLI11 REQUIRED)
  include(FlowrunTorch)
endif()
