#include "kernels_impl.h"

namespace codegeex {
const Kernels kAvx2 = make_kernels("avx2");
}
