// opwright._core: the compiler, the launcher of the Triton backend and the packager, as one extension module.
#include "bindings.h"

NB_MODULE(_core, m) {
  m.doc() = "Native part of Opwright: compiler, launcher, packager";
  // Triton keeps compiled kernels in the globals of user modules, which are alive when the interpreter ends.
  nanobind::set_leak_warnings(false);
  m.attr("__version__") = OPW_VERSION;
  opw::python::bindCompiler(m);
  opw::python::bindLaunch(m);
  opw::python::bindPackage(m);
}
