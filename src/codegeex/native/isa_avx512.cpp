#include "kernels_impl.h"

namespace codegeex {
const Kernels kAvx512 = make_kernels("avx512");
}
