#include "train/bit_planes_kernels.hpp"

namespace widthwise {

namespace plane_kernels_portable {
const PlaneKernel& kernel();
}
#ifdef WIDTHWISE_X86_KERNELS
namespace plane_kernels_avx2 {
const PlaneKernel& kernel();
}
namespace plane_kernels_avx512 {
const PlaneKernel& kernel();
}
namespace plane_kernels_bytes {
const PlaneKernel& kernel();
}
#endif

PlaneKernelList plane_kernels() {
  PlaneKernelList list;
  list.kernels[list.count++] = &plane_kernels_portable::kernel();
#ifdef WIDTHWISE_X86_KERNELS
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt")) {
    list.kernels[list.count++] = &plane_kernels_avx2::kernel();
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vnni")) {
    list.kernels[list.count++] = &plane_kernels_avx512::kernel();
    if (__builtin_cpu_supports("gfni")) {
      list.kernels[list.count++] = &plane_kernels_bytes::kernel();
    }
  }
#endif
  return list;
}

const PlaneKernel& best_plane_kernel() {
  static const PlaneKernelList list = plane_kernels();
  return *list.kernels[list.count - 1];
}

}  // namespace widthwise
