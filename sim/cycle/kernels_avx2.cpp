#define WIDTHWISE_KERNELS kernels_avx2
#include "sim/cycle/kernels.inc"
