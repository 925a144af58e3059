// The CPU's loops for any x86-64, or another processor; CMakeLists.txt has the compiler's options.
#define FLOWRUN_ISA plain
#include "nodes/lib/tensor/kernels/cpu_loops.h"
