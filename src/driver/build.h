// A build request -> one plugin library in its workspace.
#pragma once

#include "driver/compile.h"
#include "package/request.h"
#include "support/diagnostic.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace opw::driver {

struct BuildOptions {
  std::string workspace;      ///< holds the TTIR files; takes cache/ and output/
  std::string runtimeArchive; ///< libopwright_runtime.a
  std::string version;        ///< of the product: part of every cache key, and of the library's producer line
  unsigned threads = 2;
  /// If set: every kernel is compiled, whatever the cache has, and dumps its stages in the folder <kernel>.<level> of
  /// it.
  std::string dumpDir{};
  /// If set: every kernel is compiled, and the sources of the plugin go there (package/emit_sources.h).
  std::string sourcesDir{};
};

struct BuildReport {
  std::string library;
  std::string glibc;                 ///< newest symbol version that the library needs
  uint64_t bytes = 0;                ///< of the library
  uint32_t compiled = 0, reused = 0; ///< kernels, counted once per CPU level
  std::vector<StageTime> stages;
};

using CompileFunction = std::function<Result<CompiledKernel>(std::string_view, const CompileOptions &)>;

/// Checks the request, compiles each kernel for each level (or takes it from the cache), packages. A failure leaves an
/// earlier library of the workspace as it was. One build at a time per workspace. `compile` is for tests.
Result<BuildReport> buildPlugin(const package::Request &request, const BuildOptions &options,
                                const CompileFunction &compile = compileKernel);

} // namespace opw::driver
