// _core.compile, _core.explain and _core.CompileError: TTIR text in, object bytes, remarks or diagnostics out.
#include "bindings.h"

#include "driver/compile.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace opw::python {
namespace {

/// str(error): the text that was rendered when it was raised.
PyObject *errorText(PyObject *self) { return PyObject_GetAttrString(self, "text"); }

PyObject *makeErrorType() {
  static PyType_Slot slots[] = {
      {Py_tp_str, reinterpret_cast<void *>(errorText)},
      {Py_tp_doc,
       const_cast<char *>("What the compiler refused. `diagnostics`: a list of dicts; `text`: all of them, rendered.")},
      {0, nullptr}};
  static PyType_Spec spec = {"opwright._core.CompileError", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  return PyType_FromSpecWithBases(&spec, PyExc_Exception);
}

/// Kept by the module; borrowed here.
PyObject *errorType = nullptr;

const char *severityName(Severity severity) {
  switch (severity) {
  case Severity::Error:
    return "error";
  case Severity::Warning:
    return "warning";
  case Severity::Remark:
    return "remark";
  }
  return "error";
}

nb::dict toDict(const Diagnostic &diagnostic) {
  nb::dict entry;
  entry["severity"] = severityName(diagnostic.severity);
  entry["file"] = diagnostic.where.file;
  entry["line"] = diagnostic.where.line;
  entry["col"] = diagnostic.where.column;
  entry["message"] = diagnostic.message;
  entry["op"] = diagnostic.op;
  entry["kernel"] = diagnostic.kernel;
  entry["hint"] = diagnostic.hint;
  entry["required"] = diagnostic.required;
  entry["limit"] = diagnostic.limit;
  entry["text"] = diagnostic.str();
  return entry;
}

driver::CompiledKernel compileOrRaise(const std::string &ttir, const driver::CompileOptions &options) {
  Result<driver::CompiledKernel> kernel = [&] {
    nb::gil_scoped_release released;
    return driver::compileKernel(ttir, options);
  }();
  if (!kernel)
    raiseDiagnostics(kernel.diagnostics());
  return std::move(*kernel);
}

driver::CompiledKernel compile(const std::string &ttir, std::string level, std::string entry, bool fpFusion,
                               bool argsDisjoint, std::string programOrder, bool debugInfo, std::string dumpDir) {
  driver::CompileOptions options;
  options.programOrder = std::move(programOrder);
  options.level = std::move(level);
  options.debugInfo = debugInfo;
  options.entry = std::move(entry);
  options.fpFusion = fpFusion;
  options.argsDisjoint = argsDisjoint;
  options.dumpDir = std::move(dumpDir);
  return compileOrRaise(ttir, options);
}

/// One dict for each remark on the kernel, in program order.
nb::list explain(const std::string &ttir, std::string level, bool argsDisjoint, std::string dumpDir) {
  driver::CompileOptions options;
  options.level = std::move(level);
  options.argsDisjoint = argsDisjoint;
  options.explain = true;
  options.dumpDir = std::move(dumpDir);
  nb::list list;
  for (const driver::Remark &remark : compileOrRaise(ttir, options).remarks) {
    nb::dict entry;
    entry["file"] = remark.file;
    entry["line"] = remark.line;
    entry["kind"] = remark.kind;
    entry["text"] = remark.text;
    list.append(entry);
  }
  return list;
}

nb::list params(const driver::CompiledKernel &kernel) {
  nb::list list;
  for (const driver::Param &param : kernel.params) {
    std::string_view elem = ir::name(param.elem);
    list.append(nb::make_tuple(param.pointer, nb::str(elem.data(), elem.size())));
  }
  return list;
}

nb::list times(const driver::CompiledKernel &kernel) {
  nb::list list;
  for (const driver::StageTime &time : kernel.times)
    list.append(nb::make_tuple(time.first, time.second));
  return list;
}

} // namespace

void raiseDiagnostics(const Diagnostics &diagnostics) {
  nb::list list;
  for (const Diagnostic &diagnostic : diagnostics)
    list.append(toDict(diagnostic));
  nb::object error = nb::borrow(errorType)(list);
  std::string text = render(diagnostics);
  while (text.ends_with('\n'))
    text.pop_back();
  error.attr("diagnostics") = list;
  error.attr("text") = text;
  PyErr_SetObject(errorType, error.ptr());
  throw nb::python_error();
}

void bindCompiler(nb::module_ &m) {
  errorType = makeErrorType();
  if (!errorType)
    throw nb::python_error();
  m.attr("CompileError") = nb::steal(errorType);

  nb::class_<driver::CompiledKernel>(m, "CompiledKernel", "One kernel for one CPU level.")
      .def_prop_ro("object",
                   [](const driver::CompiledKernel &k) { return nb::bytes(k.object.data(), k.object.size()); })
      .def_ro("entry", &driver::CompiledKernel::entry)
      .def_ro("name", &driver::CompiledKernel::name)
      .def_ro("scratch_bytes", &driver::CompiledKernel::scratchBytes)
      .def_prop_ro("params", &params, "list of (is_pointer, MLIR's name of the element type)")
      .def_ro("ordered", &driver::CompiledKernel::ordered)
      .def_ro("program_order", &driver::CompiledKernel::programOrder)
      .def_ro("grain", &driver::CompiledKernel::grain)
      .def_prop_ro("times", &times, "list of (stage, milliseconds)");

  m.def("compile", &compile, nb::arg("ttir"), nb::arg("level") = "host", nb::arg("entry") = "opw_kernel",
        nb::arg("fp_fusion") = true, nb::arg("args_disjoint") = false, nb::arg("program_order") = "auto",
        nb::arg("debug_info") = false, nb::arg("dump_dir") = "",
        "Compiles the one kernel of a TTIR module (text, best with locations); raises CompileError. args_disjoint: the "
        "memory behind different pointer arguments does not overlap. program_order: the axes of the grid, the one that "
        "varies fastest first, "
        "and perhaps /N for bands of N programs of the second. debug_info: DWARF for debuggers.");
  m.def(
      "explain", &explain, nb::arg("ttir"), nb::arg("level") = "host", nb::arg("args_disjoint") = false,
      nb::arg("dump_dir") = "",
      "Compiles as compile does and tells what each source line became: a list of dicts with file, line, kind, text.");
  m.def("host_level", &driver::hostLevel, "The highest CPU level of this machine, '' below x86-64-v3.");
}

} // namespace opw::python
