#include <cstring>

#include "kernels.h"

namespace codegeex {

const Kernels* find_kernels(const char* name) {
  const bool best = std::strcmp(name, "auto") == 0;
  const auto wanted = [&](const Kernels& kernels) { return best || std::strcmp(name, kernels.name) == 0; };
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  if (wanted(kAvx512) && avx512) return &kAvx512;
  if (wanted(kAvxVnni) && avx2 && __builtin_cpu_supports("avxvnni")) return &kAvxVnni;
  if (wanted(kAvx2) && avx2) return &kAvx2;
#endif
  return wanted(kPortable) ? &kPortable : nullptr;
}

}  // namespace codegeex
