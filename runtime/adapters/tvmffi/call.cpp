// The one function behind every __tvm_ffi_* symbol of a plugin. TVM-FFI gives a function no pointer of its own, so the
// packager writes a stub per op that adds the number of the op and jumps here.
#include "adapters/tvmffi/arguments.h"

#include "core/api.h"
#include "core/error.h"
#include "core/libc.h"
#include "core/state.h"

#include <atomic>
#include <dlfcn.h>

namespace opw::tvmffi {
namespace {

/// TVMFFIErrorSetRaisedFromCStr of this process, looked up by the first call that fails: a plugin needs libc alone.
/// Python loads TVM-FFI for all to see; where a host did not, its soname finds it.
SetRaised setRaised() {
  static std::atomic<SetRaised> known;
  SetRaised raise = known.load(std::memory_order_relaxed);
  if (raise)
    return raise;
  void *found = dlsym(RTLD_DEFAULT, kSetRaised);
  if (!found)
    if (void *library = dlopen(kLibrary, RTLD_LAZY | RTLD_NOLOAD)) // kept: the function must stay
      found = dlsym(library, kSetRaised);
  raise = reinterpret_cast<SetRaised>(found);
  known.store(raise, std::memory_order_relaxed);
  return raise;
}

/// Runs the op; null, or the kind of the exception with its text in `error`.
const char *run(const opw_op_t *op, const Any *args, int32_t count, opw_error_t *error) {
  if (opw_status_t s = runtime::kApi.check(op, error))
    return exceptionOf(s);
  Arguments bound;
  if (const char *kind = bindArguments(op, args, count, bound, error))
    return kind;
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = bound.inputs;
  call.outputs = bound.outputs;
  call.attrs = bound.attrs;
  call.input_count = bound.inputCount;
  call.output_count = bound.outputCount;
  call.attr_count = op->attr_count;
  call.device_type = OPW_DEVICE_CPU;
  if (opw_status_t s = runtime::kApi.run(op, &call, error))
    return exceptionOf(s);
  return nullptr;
}

} // namespace
} // namespace opw::tvmffi

extern "C" [[gnu::visibility("hidden")]] int opw_tvmffi_call(void *, const opw::tvmffi::Any *args, int32_t count,
                                                             opw::tvmffi::Any *result, uint32_t number) {
  using namespace opw::tvmffi;
  opw::runtime::readEnvironment();
  char text[1024];
  text[0] = 0;
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  if (const char *kind = run(opw_tables.ops[number], args, count, &error)) {
    if (SetRaised raise = setRaised())
      raise(kind, text);
    return -1;
  }
  result->type = kNone;
  result->length = 0;
  result->integer = 0;
  return 0;
}
