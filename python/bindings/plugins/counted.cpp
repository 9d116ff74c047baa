#include "call.h"

#include "core/dtype.h"

#include <cstring>

namespace opw::plugins {
namespace {

bool takeWorkspace(Call &c) {
  Error error;
  size_t bytes = 0;
  if (!c.self.accept(c.self.api->workspace(&c.op, &c.call, &bytes, &error), error.buffer))
    return false;
  if (bytes == 0)
    return true;
  c.workspace = malloc(bytes);
  if (!c.workspace) {
    PyErr_NoMemory();
    return false;
  }
  c.call.workspace = c.workspace;
  c.call.workspace_bytes = bytes;
  return true;
}

/// Phase 0 counts, the outputs are made as large as they get, phase 1 writes them.
bool runInPhases(Call &c) {
  if (!takeWorkspace(c))
    return false;
  c.call.phases = 1;
  opw_tensor_t *first[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < c.outputCount; ++i)
    first[i] = c.isCounted(i) ? nullptr : c.outputPointers[i];
  c.call.outputs = first;
  bool good = c.execute();
  c.call.phases = 2;
  if (!good || !c.infer())
    return false;
  for (uint32_t i = 0; i < c.outputCount; ++i)
    if (!c.make(i))
      return false;
  return c.execute();
}

bool setBounds(const Call &c, int64_t *bounds) {
  for (uint32_t i = 0; i < c.op.size_count; ++i) {
    const opw_size_t &size = *c.op.sizes[i];
    Error error;
    if (size.upper.count == 0)
      return c.self.fail(PyExc_NotImplementedError,
                         "the size %s has no upper bound and is counted together with what it is the size of; the "
                         "library needs a bound, or a phase for each",
                         size.name);
    if (!c.self.accept(c.self.api->eval(&c.op, &size.upper, &c.call, &bounds[size.output], &error), error.buffer))
      return false;
  }
  return true;
}

/// -1 when there is no such number.
int64_t bytesOf(const opw_tensor_t &tensor) {
  int64_t bytes = tensor.dl_bits / 8;
  for (int32_t d = 0; d < tensor.ndim; ++d)
    if (__builtin_mul_overflow(bytes, tensor.shape[d], &bytes))
      return -1;
  return bytes;
}

/// Views of the outputs whose sizes are counted, with the sizes that follow from what `sizes` holds: the bounds, or
/// what was counted. Null with an error.
View *inferCounted(Call &c, const int64_t *sizes) {
  auto *views = c.arena.make<View>(c.outputCount);
  if (!views)
    return nullptr;
  opw_tensor_t *asked[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < c.outputCount; ++i) {
    views[i].tensor = opw_tensor_t{};
    views[i].tensor.shape = views[i].shape;
    views[i].tensor.data = c.isSize(i) ? const_cast<int64_t *>(&sizes[i]) : nullptr;
    runtime::setDtype(views[i].tensor, OPW_I64); // of a size; infer writes that of another
    asked[i] = c.isSize(i) || (c.isCounted(i) && c.outputPointers[i]) ? &views[i].tensor : nullptr;
  }
  Error error;
  c.call.outputs = asked;
  c.call.phases = 2;
  bool good = c.self.accept(c.self.api->infer(&c.op, &c.call, &error), error.buffer);
  c.call.outputs = c.outputPointers;
  c.call.phases = 0;
  return good ? views : nullptr;
}

/// As a list, for a message.
PyObject *sizesOf(const opw_tensor_t &tensor) {
  Ref list(PyList_New(tensor.ndim));
  for (int32_t d = 0; list && d < tensor.ndim; ++d)
    PyList_SET_ITEM(list.get(), d, PyLong_FromLongLong(tensor.shape[d]));
  return list.release();
}

/// Memory for an output as large as its bound; null with an error.
void *makeLarge(Call &c, uint32_t i, const opw_tensor_t &bound) {
  int64_t bytes = bytesOf(bound);
  auto *memory = bytes < 0 ? nullptr : c.arena.make<unsigned char>(static_cast<size_t>(bytes) + 1);
  if (memory)
    return memory;
  PyErr_Clear(); // of the arena, which does not know what it is for
  if (Ref sizes(sizesOf(bound)); sizes)
    refuse(PyExc_MemoryError, c.outputPlace(i), "is %S at its bound, for which there is no memory; pass smaller inputs",
           sizes.get());
  return nullptr;
}

/// Whether the caller's own array is as large as what was counted.
bool checkCallers(const Call &c, uint32_t i, const opw_tensor_t &real) {
  const opw_tensor_t &out = c.outputs[i].tensor;
  bool same = out.ndim == real.ndim && !out.strides && out.dl_code == real.dl_code && out.dl_bits == real.dl_bits;
  for (int32_t d = 0; same && d < out.ndim; ++d)
    same = out.shape[d] == real.shape[d];
  if (same)
    return true;
  Ref found(sizesOf(out)), expected(sizesOf(real));
  return found && expected &&
         refuse(PyExc_ValueError, c.outputPlace(i), "is %S, expected a row-major array of its element type and %S",
                found.get(), expected.get());
}

/// Counting and writing are one: into memory as large as the bounds, from where each output is copied.
bool runWithinBounds(Call &c) {
  int64_t sizes[OPW_MAX_TENSORS];
  if (!setBounds(c, sizes))
    return false;
  View *large = inferCounted(c, sizes);
  if (!large)
    return false;
  opw_tensor_t *written[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < c.outputCount; ++i) {
    written[i] = c.outputPointers[i];
    if (!c.isCounted(i) || !c.outputPointers[i])
      continue;
    if (!(large[i].tensor.data = makeLarge(c, i, large[i].tensor)))
      return false;
    written[i] = &large[i].tensor;
  }
  c.call.outputs = written;
  if (!c.execute())
    return false;
  for (uint32_t i = 0; i < c.outputCount; ++i)
    if (c.isSize(i))
      sizes[i] = *static_cast<const int64_t *>(c.outputs[i].tensor.data);
  const View *real = inferCounted(c, sizes);
  if (!real)
    return false;
  for (uint32_t i = 0; i < c.outputCount; ++i) {
    if (!c.isCounted(i) || !c.outputPointers[i])
      continue;
    View &out = c.outputs[i];
    if (!c.callers[i]) {
      memcpy(out.shape, real[i].shape, sizeof out.shape);
      out.tensor.ndim = real[i].tensor.ndim;
    } else if (!checkCallers(c, i, real[i].tensor)) {
      return false;
    }
    if (!c.make(i))
      return false;
    runtime::copyCounted(out.tensor.data, large[i].tensor.data, real[i].tensor, large[i].shape,
                         c.outputOf(i).flags & OPW_IO_COMPACT);
  }
  return true;
}

} // namespace

bool runCounted(Call &c) {
  if (!c.infer())
    return false;
  for (uint32_t i = 0; i < c.outputCount; ++i)
    if (!c.isCounted(i) && !c.make(i))
      return false;
  opw_choice_t choice{};
  choice.struct_size = sizeof choice;
  Error error;
  if (!c.self.accept(c.self.api->choose(&c.op, &c.call, &choice, &error), error.buffer))
    return false;
  c.call.tactic = choice.tactic; // the same one in both phases
  return runtime::countsFirst(c.op, *c.op.plans[choice.plan]) ? runInPhases(c) : runWithinBounds(c);
}

} // namespace opw::plugins
