// _core.load, _core.function_at, _core.launcher, _core.capture and the profiler: from object bytes to something that
// Triton can call.
#include "bindings.h"
#include "bound_launch.h"
#include "core/pool.h"
#include "launcher.h"
#include "profiler.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace opw::python {
namespace {

LoadedKernel load(const nb::bytes &object, const std::string &entry) {
  Result<std::unique_ptr<cpu::JitModule>> module = [&] {
    nb::gil_scoped_release released;
    return cpu::JitModule::load(std::string_view(static_cast<const char *>(object.data()), object.size()));
  }();
  if (!module)
    raiseDiagnostics(module.diagnostics());
  LoadedKernel kernel{std::move(*module), nullptr};
  cpu::JitModule::Symbol symbol = kernel.module->lookup(entry);
  kernel.entry = reinterpret_cast<opw_cpu_entry_t>(symbol.address);
  kernel.codeBytes = symbol.size;
  if (!kernel.entry) {
    Diagnostic missing;
    missing.message = "the object has no symbol '" + entry + "'";
    missing.hint = "delete it from Triton's cache and compile again";
    raiseDiagnostics({missing});
  }
  return kernel;
}

LoadedKernel functionAt(uintptr_t address) {
  if (!address)
    throw nb::value_error("found address 0, expected the entry of a kernel");
  return LoadedKernel{nullptr, reinterpret_cast<opw_cpu_entry_t>(address), 0};
}

const LoadedKernel *unwrap(PyObject *object) { return nb::inst_ptr<LoadedKernel>(object); }

/// `signature`: pairs of a parameter's name and its type, as Triton spells types; a tuple's type is a tuple of types.
/// `slots` is how many the compiled kernel has.
LaunchPlan makePlan(std::string name, nb::sequence signature, unsigned slots, uint64_t scratchBytes, int64_t grain,
                    bool ordered) {
  LaunchPlan plan{
      .name = std::move(name), .params = {}, .scratchBytes = scratchBytes, .grain = grain, .ordered = ordered};
  for (nb::handle entry : signature) {
    auto pair = nb::cast<nb::tuple>(entry);
    Param param;
    if (!parseParam(nb::object(pair[1]).ptr(), nb::cast<std::string>(pair[0]), param))
      throw nb::python_error();
    plan.slots += param.slots();
    if (plan.firstTensor < 0 && param.kind == ParamKind::Pointer)
      plan.firstTensor = static_cast<int>(plan.params.size());
    plan.params.push_back(std::move(param));
  }
  if (plan.slots != slots)
    throw nb::value_error(("kernel '" + plan.name + "' was compiled for " + std::to_string(slots) +
                           " arguments, its signature has " + std::to_string(plan.slots))
                              .c_str());
  return plan;
}

/// (kernel, grid, start, seconds, thread) of each launch.
nb::list takeRecords() {
  nb::list list;
  for (const LaunchRecord &record : takeLaunchRecords())
    list.append(nb::make_tuple(record.kernel, nb::make_tuple(record.grid[0], record.grid[1], record.grid[2]),
                               static_cast<double>(record.startNs) * 1e-9,
                               static_cast<double>(record.durationNs) * 1e-9, record.thread));
  return list;
}

} // namespace

void bindLaunch(nb::module_ &m) {
  nb::class_<LoadedKernel>(m, "LoadedKernel", "A kernel in memory; its code lives as long as this object.")
      .def_prop_ro("address", [](const LoadedKernel &k) { return reinterpret_cast<uintptr_t>(k.entry); })
      .def_ro("code_bytes", &LoadedKernel::codeBytes, "size of the code at that address; 0 where it is not known");

  m.def("load", &load, nb::arg("object"), nb::arg("entry") = "opw_kernel",
        "Loads an object of compile() into this process; raises CompileError when it is damaged.");
  m.def("function_at", &functionAt, nb::arg("address"),
        "A kernel entry (opw_cpu_entry_t) that someone else keeps in memory, for tests and tools.");

  PyObject *type = makeLauncherType();
  if (!type)
    throw nb::python_error();
  m.attr("Launcher") = nb::steal(type);
  m.def(
      "launcher",
      [type](std::string name, nb::sequence signature, unsigned slots, uint64_t scratchBytes, int64_t grain,
             bool ordered) {
        LaunchPlan plan = makePlan(std::move(name), std::move(signature), slots, scratchBytes, grain, ordered);
        PyObject *made = makeLauncher(reinterpret_cast<PyTypeObject *>(type), std::move(plan),
                                      reinterpret_cast<PyTypeObject *>(nb::type<LoadedKernel>().ptr()), unwrap);
        if (!made)
          throw nb::python_error();
        return nb::steal(made);
      },
      nb::arg("name"), nb::arg("signature"), nb::arg("slots"), nb::arg("scratch_bytes") = 0, nb::arg("grain") = 1,
      nb::arg("ordered") = false,
      "The callable (grid x, y, z, stream, LoadedKernel, packed, launch_metadata, enter_hook, exit_hook, *arguments).");

  PyObject *bound = makeBoundLaunchType();
  if (!bound)
    throw nb::python_error();
  m.attr("BoundLaunch") = nb::steal(bound);
  m.def(
      "capture",
      [bound](nb::callable call) {
        nb::list launches;
        LaunchCapture capture(reinterpret_cast<PyTypeObject *>(bound), launches.ptr());
        call();
        return launches;
      },
      nb::arg("call"), "Calls it; launches on this thread are bound meanwhile, not run. The list of BoundLaunch.");

  m.def(
      "set_threads", [](int threads) { runtime::setPoolThreads(threads); }, nb::arg("threads"),
      "Threads of later launches on the runtime's own pool; 0 is the default again.");
  m.def("threads", [] { return runtime::poolThreads(); }, "Threads that a launch on the runtime's own pool may use.");
  m.def("set_profiling", &setProfiling, nb::arg("on"), "Records every launch of the process from now on, or no more.");
  m.def("take_launches", &takeRecords,
        "What was recorded since the last call: tuples of kernel, grid, start and duration (monotonic clock, seconds), "
        "thread.");
}

} // namespace opw::python
