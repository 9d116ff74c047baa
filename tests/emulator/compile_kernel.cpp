// compile_kernel LEVEL TTIR OBJECT [DUMP_DIR]: one kernel to an object file; prints the bytes of scratch memory that it
// needs. Its entry is opw_kernel.
#include "driver/compile.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

int main(int argc, char **argv) {
  if (argc < 4 || argc > 5) {
    std::fprintf(stderr, "usage: compile_kernel LEVEL TTIR OBJECT [DUMP_DIR]\n");
    return 2;
  }
  std::ifstream in(argv[2], std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "compile_kernel: cannot read %s\n", argv[2]);
    return 2;
  }
  std::ostringstream text;
  text << in.rdbuf();
  auto kernel = opw::driver::compileKernel(text.str(), {.level = argv[1], .dumpDir = argc > 4 ? argv[4] : ""});
  if (!kernel) {
    std::fputs(opw::render(kernel.diagnostics()).c_str(), stderr);
    return 1;
  }
  std::ofstream(argv[3], std::ios::binary) << kernel->object;
  std::printf("%llu\n", static_cast<unsigned long long>(kernel->scratchBytes));
  return 0;
}
