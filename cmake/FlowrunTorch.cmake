# LibTorch from the wheel in FLOWRUN_VENV, as target `torch`.
#
# The wheel's own TorchConfig.cmake stops where there is no CUDA toolkit, though CPU code needs none. So the target is
# made here. Only libtorch_cpu and libc10 are linked: libtorch_cuda (and the gigabytes it loads) is loaded by
# flowrun_cuda, the module that `run.device: cuda` opens at run time.
set(FLOWRUN_TORCH "${FLOWRUN_SITE}/torch")
if(NOT EXISTS "${FLOWRUN_TORCH}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no LibTorch in ${FLOWRUN_TORCH}: run tools/setup again")
endif()

add_library(torch INTERFACE)
target_include_directories(torch SYSTEM INTERFACE "${FLOWRUN_TORCH}/include")
target_link_directories(torch INTERFACE "${FLOWRUN_TORCH}/lib")
target_link_libraries(torch INTERFACE "${FLOWRUN_TORCH}/lib/libtorch_cpu.so" "${FLOWRUN_TORCH}/lib/libc10.so")
# CMake writes the folders of libraries (and changes them when it installs); they apply to indirect libraries, too.
target_link_options(torch INTERFACE "LINKER:--disable-new-dtags" "LINKER:-rpath-link,${FLOWRUN_SITE}/nvidia/cu13/lib")

# The OpenMP library whose threads LibTorch uses: ours must be the same.
file(GLOB FLOWRUN_OPENMP "${FLOWRUN_TORCH}/lib/libgomp*.so*")
if(NOT FLOWRUN_OPENMP)
  set(FLOWRUN_OPENMP gomp)
endif()

find_program(FLOWRUN_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
if(FLOWRUN_CUDA STREQUAL "auto" AND FLOWRUN_NVCC)
  set(FLOWRUN_WITH_CUDA ON)
elseif(FLOWRUN_CUDA STREQUAL "on" AND NOT FLOWRUN_NVCC)
  message(FATAL_ERROR "FLOWRUN_CUDA is on, but there is no nvcc: install the CUDA 13.0 toolkit, or configure with -DFLOWRUN_CUDA=off")
elseif(FLOWRUN_CUDA STREQUAL "on")
  set(FLOWRUN_WITH_CUDA ON)
else()
  set(FLOWRUN_WITH_CUDA OFF)
  message(STATUS "CUDA support is left out: ${FLOWRUN_CUDA}, nvcc ${FLOWRUN_NVCC}")
endif()

# The libraries of the module flowrun_cuda. They register the GPU's operators by being loaded, so the linker must drop
# none.
if(FLOWRUN_WITH_CUDA)
  if(NOT EXISTS "${FLOWRUN_SITE}/nvidia/cu13/include/nvjpeg.h")
    message(FATAL_ERROR "no nvJPEG in ${FLOWRUN_SITE}: run tools/setup again")
  endif()
  add_library(torch_cuda INTERFACE)
  target_link_libraries(torch_cuda INTERFACE torch)
  target_include_directories(torch_cuda SYSTEM INTERFACE "${FLOWRUN_SITE}/nvidia/cu13/include" "${FLOWRUN_SITE}/nvidia/nccl/include")
  target_link_options(torch_cuda INTERFACE "LINKER:--no-as-needed")
  target_link_libraries(torch_cuda INTERFACE "${FLOWRUN_TORCH}/lib/libc10_cuda.so" "${FLOWRUN_TORCH}/lib/libtorch_cuda.so"
                                             "${FLOWRUN_SITE}/nvidia/cu13/lib/libcudart.so.13")
endif()
