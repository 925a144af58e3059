// The CPU's loops for AVX-512 in vectors of 512 bits; CMakeLists.txt has the compiler's options.
#define FLOWRUN_ISA avx512
#include "nodes/lib/tensor/kernels/cpu_loops.h"
