#include "kernels_impl.h"

namespace codegeex {
const Kernels kAvxVnni = make_kernels("avxvnni");
}
