#include "kernels_impl.h"

namespace codegeex {
const Kernels kPortable = make_kernels("portable");
}
