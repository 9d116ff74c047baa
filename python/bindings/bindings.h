// What the files of the extension module share: one bind function per part.
#pragma once

#include "support/diagnostic.h"

#include <nanobind/nanobind.h>

namespace opw::python {

void bindCompiler(nanobind::module_ &m);
void bindLaunch(nanobind::module_ &m);
void bindPackage(nanobind::module_ &m);

/// Raises _core.CompileError: its argument is a list with one dict per diagnostic, its text is what render() makes of
/// them.
[[noreturn]] void raiseDiagnostics(const Diagnostics &diagnostics);

} // namespace opw::python
