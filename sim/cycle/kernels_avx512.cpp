#define WIDTHWISE_KERNELS kernels_avx512
#include "sim/cycle/kernels.inc"
