// The CPU's loops for AVX2 with fused multiply-add; CMakeLists.txt has the compiler's options.
#define FLOWRUN_ISA avx2
#include "nodes/lib/tensor/kernels/cpu_loops.h"
