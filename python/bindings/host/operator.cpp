// The type opwright._host.Operator: one operator of a library as a callable. A plain CPython type with vectorcall,
// because a call of a small operator costs hardly more than its arguments. An operator never changes once it is made,
// so threads share it.
#include "attributes.h"

#include "core/dtype.h"
#include "core/phases.h"

#include <structmember.h>

#include <cstring>
#include <new>

namespace opw::host {
namespace {

/// What a keyword of a call means.
struct Keyword {
  enum Kind : uint8_t { Input, Attribute, Out, Tactic } kind;
  uint32_t index;
  PyObject *name; ///< interned, owned
};

struct Operator {
  PyObject_HEAD vectorcallfunc call;
  const opw_op_t *op;
  const opw_api_t *api;
  PyObject *name; ///< "ns::name"
  Keyword *keywords;
  uint32_t keywordCount;
};

bool isVariadic(const opw_io_t *const *ios, uint32_t count) {
  return count > 0 && (ios[count - 1]->flags & OPW_IO_VARIADIC);
}

/// The arguments, the views and the results of one call.
class Call {
public:
  explicit Call(const Operator &callee)
      : self(callee), op(*callee.op), variadicIn(isVariadic(op.inputs, op.input_count)),
        variadicOut(isVariadic(op.outputs, op.output_count)) {}
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;
  ~Call() {
    for (uint32_t i = 0; i < outputCount; ++i)
      Py_XDECREF(results[i]);
    free(workspace);
  }

  bool parse(PyObject *const *args, Py_ssize_t count, PyObject *keywords);
  bool readInputs();
  bool readOutputs(bool inplace);
  PyObject *run();
  /// Without data: see the method `infer`.
  PyObject *inferOnly(PyObject *described, PyObject *attributes, uint32_t count);

private:
  const Operator &self;
  const opw_op_t &op;
  const bool variadicIn, variadicOut;
  Arena arena;
  Kept kept;

  PyObject *given[OPW_MAX_TENSORS]; ///< inputs, borrowed; null = absent
  uint32_t inputCount = 0, outputCount = 0;
  PyObject *outs = nullptr; ///< what out= got, borrowed
  int32_t tactic = 0;
  opw_attr_value_t *attrs = nullptr; ///< null: all default

  View *inputs = nullptr, *outputs = nullptr;
  const opw_tensor_t *inputPointers[OPW_MAX_TENSORS];
  opw_tensor_t *outputPointers[OPW_MAX_TENSORS];
  PyObject *results[OPW_MAX_TENSORS];  ///< owned: arrays, or None for an output that is left out; null until made
  bool callers[OPW_MAX_TENSORS];       ///< the result is the caller's own array
  const ArrayType *type = &kNumPyType; ///< of the outputs
  opw_call_t call{};
  void *workspace = nullptr;

  const opw_io_t &inputOf(uint32_t i) const { return *op.inputs[i < op.input_count ? i : op.input_count - 1]; }
  const opw_io_t &outputOf(uint32_t i) const { return *op.outputs[i < op.output_count ? i : op.output_count - 1]; }
  Place inputPlace(uint32_t i) const { return {self.name, "input", inputOf(i).name}; }
  Place outputPlace(uint32_t i) const { return {self.name, "output", outputOf(i).name}; }

  bool fail(PyObject *error, const char *format, ...) const;
  bool failInputs(const char *what) const;
  bool takePositional(PyObject *const *args, uint32_t count);
  bool takeKeyword(PyObject *name, PyObject *value);
  bool takeInput(uint32_t index, PyObject *value);
  bool takeAttribute(uint32_t index, PyObject *value);
  bool takeTactic(PyObject *value);
  bool checkMissing();
  bool readInput(uint32_t i);
  bool readOutput(uint32_t i, PyObject *array);
  bool alias(uint32_t i);
  void prepare();
  bool status(opw_status_t s, const char *text) const;
  bool infer();
  bool execute();
  bool make(uint32_t i);
  bool isCounted(uint32_t i) const { return runtime::isCounted(outputOf(i)); }
  bool runFixed();
  bool runCounted();
  bool runInPhases();
  bool runWithinBounds();
  bool takeWorkspace();
  bool setBounds(int64_t *bounds);
  View *inferCounted(const int64_t *sizes);
  void *makeLarge(uint32_t i, const opw_tensor_t &bound);
  bool checkCallers(uint32_t i, const opw_tensor_t &real) const;
  PyObject *finish();
};

bool Call::fail(PyObject *error, const char *format, ...) const {
  va_list list;
  va_start(list, format);
  Ref text(PyUnicode_FromFormatV(format, list));
  va_end(list);
  if (text)
    PyErr_Format(error, "%U: %U", self.name, text.get());
  return false;
}

/// A TypeError that lists the inputs.
bool Call::failInputs(const char *what) const {
  Ref list(PyUnicode_FromString(""));
  for (uint32_t i = 0; list && i < op.input_count; ++i)
    list = Ref(PyUnicode_FromFormat("%U%s%s%s%s", list.get(), i ? ", " : "",
                                    variadicIn && i + 1 == op.input_count ? "*" : "", op.inputs[i]->name,
                                    op.inputs[i]->flags & OPW_IO_OPTIONAL ? "=None" : ""));
  return list && fail(PyExc_TypeError, "%s, expected (%U); attributes go by keyword", what, list.get());
}

// ---- arguments

bool Call::takePositional(PyObject *const *args, uint32_t count) {
  if ((!variadicIn && count > op.input_count) || count > OPW_MAX_TENSORS) {
    char what[64];
    snprintf(what, sizeof what, "found %u inputs", count);
    return failInputs(what);
  }
  for (uint32_t i = 0; i < count; ++i)
    given[i] = args[i] == Py_None && (inputOf(i).flags & OPW_IO_OPTIONAL) ? nullptr : args[i];
  inputCount = variadicIn && count < op.input_count ? op.input_count - 1 : variadicIn ? count : op.input_count;
  for (uint32_t i = count; i < inputCount; ++i)
    given[i] = nullptr;
  return true;
}

/// An input by its name; a variadic one as a list.
bool Call::takeInput(uint32_t index, PyObject *value) {
  const char *name = op.inputs[index]->name;
  bool tail = variadicIn && index + 1 == op.input_count;
  if (tail ? inputCount > index : given[index] != nullptr)
    return fail(PyExc_TypeError, "input '%s' is given twice", name);
  if (!tail) {
    given[index] = value == Py_None && (op.inputs[index]->flags & OPW_IO_OPTIONAL) ? nullptr : value;
    return true;
  }
  if (!PyList_Check(value) && !PyTuple_Check(value))
    return fail(PyExc_TypeError, "input '%s' is %s, expected a list of arrays", name, Py_TYPE(value)->tp_name);
  PyObject *items = kept.add(PySequence_Fast(value, ""));
  if (!items)
    return false;
  Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
  if (count > static_cast<Py_ssize_t>(OPW_MAX_TENSORS - index))
    return fail(PyExc_ValueError, "input '%s' has %zd arrays, expected at most %u", name, count,
                OPW_MAX_TENSORS - index);
  for (Py_ssize_t i = 0; i < count; ++i)
    given[inputCount++] = PySequence_Fast_GET_ITEM(items, i);
  return true;
}

bool Call::takeAttribute(uint32_t index, PyObject *value) {
  if (!attrs) {
    attrs = arena.make<opw_attr_value_t>(op.attr_count);
    if (!attrs)
      return false;
    memset(attrs, 0, op.attr_count * sizeof *attrs);
  }
  return readAttribute(*op.attrs[index], self.name, value, attrs[index], arena, kept);
}

bool Call::takeTactic(PyObject *value) {
  int overflow = 0;
  long id = PyLong_Check(value) ? PyLong_AsLongAndOverflow(value, &overflow) : -1;
  if (overflow != 0 || id < 0 || id > INT32_MAX)
    return fail(PyExc_ValueError, "tactic is %R, expected the number of a tactic, or 0 to let the library choose",
                value);
  tactic = static_cast<int32_t>(id);
  return true;
}

bool Call::takeKeyword(PyObject *name, PyObject *value) {
  const Keyword *found = nullptr;
  for (uint32_t k = 0; !found && k < self.keywordCount; ++k)
    if (self.keywords[k].name == name) // nearly always interned
      found = &self.keywords[k];
  for (uint32_t k = 0; !found && k < self.keywordCount; ++k)
    if (PyUnicode_Compare(self.keywords[k].name, name) == 0)
      found = &self.keywords[k];
  if (!found) {
    Ref known(PyUnicode_FromString(""));
    for (uint32_t k = 0; known && k < self.keywordCount; ++k)
      known = Ref(PyUnicode_FromFormat("%U%s%U", known.get(), k ? ", " : "", self.keywords[k].name));
    return known && fail(PyExc_TypeError, "found the unknown keyword %R, expected one of %U", name, known.get());
  }
  switch (found->kind) {
  case Keyword::Input:
    return takeInput(found->index, value);
  case Keyword::Attribute:
    return takeAttribute(found->index, value);
  case Keyword::Tactic:
    return takeTactic(value);
  default:
    outs = value == Py_None ? nullptr : value;
    return true;
  }
}

bool Call::checkMissing() {
  uint32_t fixed = op.input_count - (variadicIn ? 1 : 0);
  for (uint32_t i = 0; i < fixed; ++i)
    if (!given[i] && !(op.inputs[i]->flags & OPW_IO_OPTIONAL)) {
      char what[300];
      snprintf(what, sizeof what, "input '%s' is missing", op.inputs[i]->name);
      return failInputs(what);
    }
  for (uint32_t i = 0; i < op.attr_count; ++i)
    if (op.attrs[i]->fallback.kind == OPW_ATTR_NONE && (!attrs || attrs[i].kind == OPW_ATTR_NONE))
      return fail(PyExc_TypeError, "found no attribute '%s', which has no default; pass %s=...", op.attrs[i]->name,
                  op.attrs[i]->name);
  return true;
}

bool Call::parse(PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  if (!takePositional(args, static_cast<uint32_t>(count > UINT16_MAX ? UINT16_MAX : count)))
    return false;
  Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < named; ++k)
    if (!takeKeyword(PyTuple_GET_ITEM(keywords, k), args[count + k]))
      return false;
  return checkMissing();
}

// ---- views

bool Call::readInput(uint32_t i) {
  PyObject *object = given[i];
  const opw_io_t &io = inputOf(i);
  const ArrayType *found = arrayTypeOf(Py_TYPE(object));
  if (!found && (io.flags & OPW_IO_HOST)) {
    object = kept.add(PyObject_CallFunction(state.hostValue, "OIO",
                                            reinterpret_cast<PyObject *>(const_cast<Operator *>(&self)),
                                            i < op.input_count ? i : op.input_count - 1, object));
    if (!object)
      return false;
    found = &kNumPyType;
  }
  if (!found) {
    Ref name = typeName(object);
    return name && refuse(PyExc_TypeError, inputPlace(i),
                          "is %U, expected a NumPy array, a torch CPU tensor or an array with __dlpack__", name.get());
  }
  if (!readArray(*found, object, inputPlace(i), inputs[i], kept))
    return false;
  inputPointers[i] = &inputs[i].tensor;
  return true;
}

bool Call::readInputs() {
  if (inputCount) {
    inputs = arena.make<View>(inputCount);
    if (!inputs)
      return false;
  }
  const ArrayType *first = nullptr, *hosts = nullptr;
  for (uint32_t i = 0; i < inputCount; ++i) {
    inputPointers[i] = nullptr;
    if (!given[i])
      continue;
    if (!readInput(i))
      return false;
    const ArrayType *found = arrayTypeOf(Py_TYPE(given[i])); // null: a number
    if (!found)
      continue;
    if (inputOf(i).flags & OPW_IO_HOST) {
      hosts = hosts ? hosts : found;
      continue;
    }
    first = first ? first : found;
    if (!found->goesWith(*first))
      return fail(PyExc_TypeError, "found %s in one call, expected one kind",
                  found->isTorch || first->isTorch ? "NumPy arrays and torch tensors" : "arrays of two kinds");
  }
  type = first ? first : hosts ? hosts : &kNumPyType;
  return true;
}

/// The caller's own array for an output.
bool Call::readOutput(uint32_t i, PyObject *array) {
  const ArrayType *found = arrayTypeOf(Py_TYPE(array));
  if (!found) {
    Ref name = typeName(array);
    return name && refuse(PyExc_TypeError, outputPlace(i),
                          "is %U, expected a NumPy array or a torch CPU tensor, or None for a new one", name.get());
  }
  if (!readArray(*found, array, outputPlace(i), outputs[i], kept))
    return false;
  if (outputs[i].readOnly)
    return refuse(PyExc_ValueError, outputPlace(i),
                  "is read-only memory, expected memory that may be written; pass a copy");
  const opw_tensor_t &view = outputs[i].tensor;
  if ((outputOf(i).flags & OPW_IO_SIZE) && (view.ndim != 0 || runtime::dtypeOf(view) != OPW_I64))
    return refuse(PyExc_ValueError, outputPlace(i), "holds a size, expected an int64 array without axes");
  results[i] = Py_NewRef(array);
  callers[i] = true;
  return true;
}

/// In place: the output is the input that it may share memory with.
bool Call::alias(uint32_t i) {
  int16_t input = outputOf(i).alias;
  return input < 0 || !given[input] || readOutput(i, given[input]);
}

bool Call::readOutputs(bool inplace) {
  PyObject *items = nullptr;
  Py_ssize_t count = 0;
  if (outs && (PyTuple_Check(outs) || PyList_Check(outs))) {
    items = kept.add(PySequence_Fast(outs, ""));
    if (!items)
      return false;
    count = PySequence_Fast_GET_SIZE(items);
  }
  uint32_t least = variadicOut ? op.outputs[op.output_count - 1]->variadic_min : 0;
  uint32_t fixed = op.output_count - (variadicOut ? 1 : 0);
  Py_ssize_t wanted = variadicOut ? fixed + (least ? least : 1) : op.output_count;
  if (items && (variadicOut ? count < static_cast<Py_ssize_t>(fixed + least) : count != wanted))
    return fail(PyExc_ValueError, "out has %zd arrays, expected %s%zd", count, variadicOut ? "at least " : "",
                variadicOut ? static_cast<Py_ssize_t>(fixed + least) : wanted);
  if (outs && !items && wanted != 1)
    return fail(PyExc_TypeError, "out is %s, expected a tuple of %zd: an array or None for each output",
                Py_TYPE(outs)->tp_name, wanted);
  if (items && variadicOut)
    wanted = count;
  if (wanted > static_cast<Py_ssize_t>(OPW_MAX_TENSORS - inputCount))
    return fail(PyExc_ValueError, "found %zd outputs and %u inputs, expected at most %d together", wanted, inputCount,
                OPW_MAX_TENSORS);
  if (wanted) {
    outputs = arena.make<View>(static_cast<size_t>(wanted));
    if (!outputs)
      return false;
  }
  for (uint32_t i = 0; i < static_cast<uint32_t>(wanted); ++i) {
    outputs[i].tensor = opw_tensor_t{};
    outputs[i].tensor.shape = outputs[i].shape;
    results[i] = nullptr;
    callers[i] = false;
    outputCount = i + 1;
    PyObject *array = items ? PySequence_Fast_GET_ITEM(items, static_cast<Py_ssize_t>(i)) : outs ? outs : Py_None;
    if (array == Py_False) {
      if (!(outputOf(i).flags & OPW_IO_OPTIONAL) || (outputOf(i).flags & OPW_IO_SIZE))
        return refuse(PyExc_ValueError, outputPlace(i), "is not optional, expected an array or None for a new one");
      results[i] = Py_NewRef(Py_None);
    } else if (array != Py_None) {
      if (!readOutput(i, array))
        return false;
    } else if (inplace && !alias(i)) {
      return false;
    } else if ((outputOf(i).flags & OPW_IO_VARIADIC) && !results[i] && outputOf(i).seg_count == 0) {
      return refuse(PyExc_TypeError, outputPlace(i),
                    "has no declared shape, expected the arrays to be written; pass out=");
    }
    outputPointers[i] = results[i] == Py_None ? nullptr : &outputs[i].tensor;
  }
  return true;
}

// ---- the run

void Call::prepare() {
  call.struct_size = sizeof call;
  call.inputs = inputPointers;
  call.outputs = outputPointers;
  call.attrs = attrs;
  call.input_count = inputCount;
  call.output_count = outputCount;
  call.attr_count = attrs ? op.attr_count : 0;
  call.device_type = OPW_DEVICE_CPU;
  call.tactic = tactic;
}

bool Call::status(opw_status_t s, const char *text) const { return s == OPW_OK || raiseStatus(self.name, s, text); }

/// A place for the library's text.
struct Error : opw_error_t {
  Error() : opw_error_t{sizeof(opw_error_t), OPW_OK, buffer, sizeof buffer} { buffer[0] = 0; }
  char buffer[1024];
};

/// Types and sizes of the outputs that are to be made. The caller's own are left out: the run compares them.
bool Call::infer() {
  opw_tensor_t *asked[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < outputCount; ++i)
    asked[i] = callers[i] && !(outputOf(i).flags & OPW_IO_SIZE) ? nullptr : outputPointers[i];
  call.outputs = asked;
  Error error;
  bool good = status(self.api->infer(&op, &call, &error), error.buffer);
  call.outputs = outputPointers;
  return good;
}

bool Call::execute() {
  Error error;
  PyThreadState *python = PyEval_SaveThread();
  opw_status_t s = self.api->run(&op, &call, &error);
  PyEval_RestoreThread(python);
  return status(s, error.buffer);
}

bool Call::make(uint32_t i) {
  if (results[i])
    return true;
  results[i] = makeArray(*type, outputs[i], outputOf(i).align, outputPlace(i), kept);
  return results[i] != nullptr;
}

bool Call::runFixed() {
  bool all = true;
  for (uint32_t i = 0; i < outputCount; ++i)
    all = all && results[i];
  if (!all && !infer())
    return false;
  for (uint32_t i = 0; i < outputCount; ++i)
    if (!make(i))
      return false;
  return execute();
}

/// Phase 0 counts, the outputs are made as large as they get, phase 1 writes them.
bool Call::runInPhases() {
  if (!takeWorkspace())
    return false;
  call.phases = 1;
  opw_tensor_t *first[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < outputCount; ++i)
    first[i] = isCounted(i) ? nullptr : outputPointers[i];
  call.outputs = first;
  bool good = execute();
  call.phases = 2;
  if (!good || !infer())
    return false;
  for (uint32_t i = 0; i < outputCount; ++i)
    if (!make(i))
      return false;
  return execute();
}

bool Call::takeWorkspace() {
  Error error;
  size_t bytes = 0;
  if (!status(self.api->workspace(&op, &call, &bytes, &error), error.buffer))
    return false;
  if (bytes == 0)
    return true;
  workspace = malloc(bytes);
  if (!workspace) {
    PyErr_NoMemory();
    return false;
  }
  call.workspace = workspace;
  call.workspace_bytes = bytes;
  return true;
}

bool Call::setBounds(int64_t *bounds) {
  for (uint32_t i = 0; i < op.size_count; ++i) {
    const opw_size_t &size = *op.sizes[i];
    Error error;
    if (size.upper.count == 0)
      return fail(
          PyExc_NotImplementedError,
          "the size %s has no upper bound and is counted together with what it is the size of; the library needs "
          "a bound, or a phase for each",
          size.name);
    if (!status(self.api->eval(&op, &size.upper, &call, &bounds[size.output], &error), error.buffer))
      return false;
  }
  return true;
}

int64_t bytesOf(const opw_tensor_t &tensor) {
  int64_t bytes = tensor.dl_bits / 8;
  for (int32_t d = 0; d < tensor.ndim; ++d)
    if (__builtin_mul_overflow(bytes, tensor.shape[d], &bytes))
      return -1;
  return bytes;
}

/// Views of the outputs whose sizes are counted, with the sizes that follow from what `sizes` holds: the bounds, or
/// what was counted. Null with an error.
View *Call::inferCounted(const int64_t *sizes) {
  auto *views = arena.make<View>(outputCount);
  if (!views)
    return nullptr;
  opw_tensor_t *asked[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < outputCount; ++i) {
    bool size = outputOf(i).flags & OPW_IO_SIZE;
    views[i].tensor = opw_tensor_t{};
    views[i].tensor.shape = views[i].shape;
    views[i].tensor.data = size ? const_cast<int64_t *>(&sizes[i]) : nullptr;
    runtime::setDtype(views[i].tensor, OPW_I64); // of a size; infer writes that of another
    asked[i] = size || (isCounted(i) && outputPointers[i]) ? &views[i].tensor : nullptr;
  }
  Error error;
  call.outputs = asked;
  call.phases = 2;
  bool good = status(self.api->infer(&op, &call, &error), error.buffer);
  call.outputs = outputPointers;
  call.phases = 0;
  return good ? views : nullptr;
}

PyObject *sizesOf(const opw_tensor_t &tensor) {
  Ref list(PyList_New(tensor.ndim));
  for (int32_t d = 0; list && d < tensor.ndim; ++d)
    PyList_SET_ITEM(list.get(), d, PyLong_FromLongLong(tensor.shape[d]));
  return list.release();
}

/// Memory for an output as large as its bound; null with an error.
void *Call::makeLarge(uint32_t i, const opw_tensor_t &bound) {
  int64_t bytes = bytesOf(bound);
  auto *memory = bytes < 0 ? nullptr : arena.make<unsigned char>(static_cast<size_t>(bytes) + 1);
  if (memory)
    return memory;
  PyErr_Clear(); // of the arena, which does not know what it is for
  if (Ref sizes(sizesOf(bound)); sizes)
    refuse(PyExc_MemoryError, outputPlace(i), "is %S at its bound, for which there is no memory; pass smaller inputs",
           sizes.get());
  return nullptr;
}

/// Whether the caller's own array is as large as what was counted.
bool Call::checkCallers(uint32_t i, const opw_tensor_t &real) const {
  const opw_tensor_t &out = outputs[i].tensor;
  bool same = out.ndim == real.ndim && !out.strides && out.dl_code == real.dl_code && out.dl_bits == real.dl_bits;
  for (int32_t d = 0; same && d < out.ndim; ++d)
    same = out.shape[d] == real.shape[d];
  if (same)
    return true;
  Ref found(sizesOf(out)), expected(sizesOf(real));
  return found && expected &&
         refuse(PyExc_ValueError, outputPlace(i), "is %S, expected a row-major array of its element type and %S",
                found.get(), expected.get());
}

/// Counting and writing are one: into memory as large as the bounds, from where each output is copied.
bool Call::runWithinBounds() {
  int64_t sizes[OPW_MAX_TENSORS];
  if (!setBounds(sizes))
    return false;
  View *large = inferCounted(sizes);
  if (!large)
    return false;
  opw_tensor_t *written[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < outputCount; ++i) {
    written[i] = outputPointers[i];
    if (!isCounted(i) || !outputPointers[i])
      continue;
    if (!(large[i].tensor.data = makeLarge(i, large[i].tensor)))
      return false;
    written[i] = &large[i].tensor;
  }
  call.outputs = written;
  if (!execute())
    return false;
  for (uint32_t i = 0; i < outputCount; ++i)
    if (outputOf(i).flags & OPW_IO_SIZE)
      sizes[i] = *static_cast<const int64_t *>(outputs[i].tensor.data);
  const View *real = inferCounted(sizes);
  if (!real)
    return false;
  for (uint32_t i = 0; i < outputCount; ++i) {
    if (!isCounted(i) || !outputPointers[i])
      continue;
    if (!callers[i]) {
      memcpy(outputs[i].shape, real[i].shape, sizeof outputs[i].shape);
      outputs[i].tensor.ndim = real[i].tensor.ndim;
    } else if (!checkCallers(i, real[i].tensor)) {
      return false;
    }
    if (!make(i))
      return false;
    runtime::copyCounted(outputs[i].tensor.data, large[i].tensor.data, real[i].tensor, large[i].shape,
                         outputOf(i).flags & OPW_IO_COMPACT);
  }
  return true;
}

bool Call::runCounted() {
  if (!infer())
    return false;
  for (uint32_t i = 0; i < outputCount; ++i)
    if (!isCounted(i) && !make(i))
      return false;
  opw_choice_t choice{};
  choice.struct_size = sizeof choice;
  Error error;
  if (!status(self.api->choose(&op, &call, &choice, &error), error.buffer))
    return false;
  call.tactic = choice.tactic; // the same one in both phases
  return runtime::countsFirst(op, *op.plans[choice.plan]) ? runInPhases() : runWithinBounds();
}

PyObject *Call::finish() {
  for (uint32_t i = 0; i < outputCount; ++i) {
    if (!callers[i])
      continue;
    const ArrayType *kind = arrayTypeOf(Py_TYPE(results[i]));
    if (kind && kind->isTorch && !Ref(PyObject_CallOneArg(state.changed, results[i])))
      return nullptr;
  }
  if (outputCount == 1 && !variadicOut) {
    PyObject *result = results[0];
    results[0] = nullptr;
    return result;
  }
  PyObject *tuple = PyTuple_New(outputCount);
  for (uint32_t i = 0; tuple && i < outputCount; ++i) {
    PyTuple_SET_ITEM(tuple, i, results[i]);
    results[i] = nullptr;
  }
  return tuple;
}

PyObject *Call::run() {
  prepare();
  bool good = op.size_count != 0 ? runCounted() : runFixed();
  return good ? finish() : nullptr;
}

// ---- shapes without data

/// (number of the element type, sizes with -1 for what is not known)
bool describeTensor(PyObject *described, View &view) {
  int number = 0;
  PyObject *sizes = nullptr;
  if (!PyArg_ParseTuple(described, "iO!", &number, &PyTuple_Type, &sizes))
    return false;
  if (PyTuple_GET_SIZE(sizes) > OPW_MAX_RANK) {
    PyErr_Format(PyExc_ValueError, "found a rank of %zd, expected at most %d", PyTuple_GET_SIZE(sizes), OPW_MAX_RANK);
    return false;
  }
  view.tensor = opw_tensor_t{};
  view.tensor.device_type = OPW_DEVICE_CPU;
  view.tensor.ndim = static_cast<int32_t>(PyTuple_GET_SIZE(sizes));
  view.tensor.shape = view.shape;
  runtime::setDtype(view.tensor, static_cast<opw_dtype_t>(number));
  for (int32_t d = 0; d < view.tensor.ndim; ++d) {
    view.shape[d] = PyLong_AsLongLong(PyTuple_GET_ITEM(sizes, d));
    if (view.shape[d] == -1 && PyErr_Occurred())
      return false;
  }
  return true;
}

PyObject *Call::inferOnly(PyObject *described, PyObject *attributes, uint32_t count) {
  Py_ssize_t tensors = PyList_GET_SIZE(described);
  if (tensors > OPW_MAX_TENSORS || count > OPW_MAX_TENSORS) {
    fail(PyExc_ValueError, "found %zd inputs and %u outputs, expected at most %d", tensors, count, OPW_MAX_TENSORS);
    return nullptr;
  }
  inputCount = static_cast<uint32_t>(tensors);
  inputs = arena.make<View>(inputCount + 1u);
  outputs = arena.make<View>(count + 1u);
  if (!inputs || !outputs)
    return nullptr;
  for (uint32_t i = 0; i < inputCount; ++i) {
    given[i] = PyList_GET_ITEM(described, static_cast<Py_ssize_t>(i));
    inputPointers[i] = nullptr;
    bool good = given[i] == Py_None       ? true
                : PyTuple_Check(given[i]) ? describeTensor(given[i], inputs[i])
                                          : readInput(i);
    if (!good)
      return nullptr;
    if (given[i] != Py_None)
      inputPointers[i] = &inputs[i].tensor;
  }
  PyObject *name, *value;
  for (Py_ssize_t at = 0; PyDict_Next(attributes, &at, &name, &value);)
    if (!takeKeyword(name, value))
      return nullptr;
  outputCount = count;
  for (uint32_t i = 0; i < count; ++i) {
    outputs[i].tensor = opw_tensor_t{};
    outputs[i].tensor.shape = outputs[i].shape;
    outputPointers[i] = &outputs[i].tensor;
    results[i] = nullptr;
    callers[i] = false;
  }
  prepare();
  if (!infer())
    return nullptr;
  Ref list(PyList_New(count));
  for (uint32_t i = 0; list && i < count; ++i) {
    Ref sizes(PyTuple_New(outputs[i].tensor.ndim));
    for (int32_t d = 0; sizes && d < outputs[i].tensor.ndim; ++d)
      PyTuple_SET_ITEM(sizes.get(), d, PyLong_FromLongLong(outputs[i].shape[d]));
    PyObject *entry =
        sizes ? Py_BuildValue("(iO)", static_cast<int>(runtime::dtypeOf(outputs[i].tensor)), sizes.get()) : nullptr;
    if (!entry)
      return nullptr;
    PyList_SET_ITEM(list.get(), i, entry);
  }
  return list.release();
}

// ---- the type

Operator &of(PyObject *object) { return *reinterpret_cast<Operator *>(object); }

PyObject *invoke(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords, bool inplace) {
  Call call(of(object));
  if (!call.parse(args, count, keywords) || !call.readInputs() || !call.readOutputs(inplace))
    return nullptr;
  return call.run();
}

PyObject *vectorcall(PyObject *object, PyObject *const *args, size_t flagged, PyObject *keywords) {
  return invoke(object, args, PyVectorcall_NARGS(flagged), keywords, false);
}

PyObject *callInPlace(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  const opw_op_t &op = *of(object).op;
  for (uint32_t i = 0; i < op.output_count; ++i)
    if (op.outputs[i]->alias >= 0)
      return invoke(object, args, count, keywords, true);
  PyErr_Format(
      PyExc_TypeError,
      "%U: no output may lie in the memory of an input; call the operator itself, with out= for memory of yours",
      of(object).name);
  return nullptr;
}

PyObject *inferMethod(PyObject *object, PyObject *args) {
  PyObject *described, *attributes;
  unsigned count = 0;
  if (!PyArg_ParseTuple(args, "O!O!I:infer", &PyList_Type, &described, &PyDict_Type, &attributes, &count))
    return nullptr;
  Call call(of(object));
  return call.inferOnly(described, attributes, count);
}

/// One keyword; false with an error.
bool addKeyword(Operator &self, Keyword::Kind kind, uint32_t index, const char *name) {
  PyObject *text = PyUnicode_InternFromString(name);
  if (text)
    self.keywords[self.keywordCount++] = {kind, index, text};
  return text != nullptr;
}

bool has(const Operator &self, const char *name) {
  for (uint32_t k = 0; k < self.keywordCount; ++k)
    if (PyUnicode_CompareWithASCIIString(self.keywords[k].name, name) == 0)
      return true;
  return false;
}

bool addKeywords(Operator &self) {
  const opw_op_t &op = *self.op;
  self.keywords = static_cast<Keyword *>(calloc(op.input_count + op.attr_count + 2, sizeof(Keyword)));
  if (!self.keywords)
    return PyErr_NoMemory();
  for (uint32_t i = 0; i < op.input_count; ++i)
    if (!addKeyword(self, Keyword::Input, i, op.inputs[i]->name))
      return false;
  for (uint32_t i = 0; i < op.attr_count; ++i)
    if (!addKeyword(self, Keyword::Attribute, i, op.attrs[i]->name))
      return false;
  // An operator's own names come first.
  return addKeyword(self, Keyword::Out, 0, has(self, "out") ? "out_" : "out") &&
         addKeyword(self, Keyword::Tactic, 0, has(self, "tactic") ? "tactic_" : "tactic");
}

PyObject *create(PyTypeObject *type, PyObject *args, PyObject *) {
  PyObject *address = nullptr;
  const char *ns = nullptr, *name = nullptr;
  int version = 0;
  if (!PyArg_ParseTuple(args, "Ossi:Operator", &address, &ns, &name, &version))
    return nullptr;
  const opw_library_t *library = libraryAt(address);
  if (!library)
    return nullptr;
  Ref made(type->tp_alloc(type, 0));
  if (!made)
    return nullptr;
  Operator &self = of(made.get());
  self.call = vectorcall;
  self.api = library->api;
  self.name = PyUnicode_FromFormat("%s::%s", ns, name);
  self.op = library->api->find(ns, name, version);
  if (!self.name)
    return nullptr;
  Error error;
  if (!self.op)
    return raiseStatus(self.name, OPW_E_ARGUMENT, "the library has no such operator of that version");
  if (opw_status_t s = self.api->check(self.op, &error))
    return raiseStatus(self.name, s, error.buffer);
  return addKeywords(self) ? made.release() : nullptr;
}

void deallocate(PyObject *object) {
  PyTypeObject *type = Py_TYPE(object);
  Operator &self = of(object);
  for (uint32_t k = 0; k < self.keywordCount; ++k)
    Py_XDECREF(self.keywords[k].name);
  free(self.keywords);
  Py_XDECREF(self.name);
  type->tp_free(object);
  Py_DECREF(type);
}

} // namespace

PyObject *makeOperatorType() {
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Operator, call), READONLY, nullptr},
                                  {nullptr, 0, 0, 0, nullptr}};
  static PyMethodDef methods[] = {
      {"inplace", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(callInPlace)),
       METH_FASTCALL | METH_KEYWORDS,
       "inplace(*inputs, out=None, tactic=0, **attributes)\n--\n\n"
       "Like a call, but outputs that may lie in an input's memory do: that input is changed, and returned."},
      {"infer", inferMethod, METH_VARARGS,
       "infer(inputs, attributes, count)\n--\n\n"
       "Number of the element type and sizes of each of `count` outputs, for inputs of which only these are known: a "
       "list "
       "of (number, sizes), arrays and None. A size that is not known is -1."},
      {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void *>(create)},
                                {Py_tp_dealloc, reinterpret_cast<void *>(deallocate)},
                                {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
                                {Py_tp_members, members},
                                {Py_tp_methods, methods},
                                {0, nullptr}};
  static PyType_Spec spec = {"opwright._host.Operator", sizeof(Operator), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_BASETYPE, slots};
  return PyType_FromSpec(&spec);
}

} // namespace opw::host
