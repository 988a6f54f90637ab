#define WIDTHWISE_KERNELS kernels_portable
#include "sim/cycle/kernels.inc"
