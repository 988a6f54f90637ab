#include "sim/cycle/kernels.hpp"

namespace widthwise::sim {

namespace kernels_portable {
const Kernels& kernels(const char* name);
}
#ifdef WIDTHWISE_X86_KERNELS
namespace kernels_avx2 {
const Kernels& kernels(const char* name);
}
namespace kernels_avx512 {
const Kernels& kernels(const char* name);
}
#endif

KernelList available_kernels() {
  KernelList list;
  list.kernels[list.count++] = &kernels_portable::kernels("portable");
#ifdef WIDTHWISE_X86_KERNELS
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt")) {
    list.kernels[list.count++] = &kernels_avx2::kernels("AVX2");
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vpopcntdq")) {
    list.kernels[list.count++] = &kernels_avx512::kernels("AVX-512");
  }
#endif
  return list;
}

const Kernels& best_kernels() {
  const KernelList list = available_kernels();
  return *list.kernels[list.count - 1];
}

}  // namespace widthwise::sim
