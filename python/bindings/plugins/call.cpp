#include "call.h"

#include "core/dtype.h"

#include <cstring>

namespace opw::plugins {

// ---- views

bool Call::readInput(uint32_t i) {
  PyObject *object = given[i];
  const opw_io_t &io = inputOf(i);
  const ArrayType *found = arrayTypeOf(Py_TYPE(object));
  if (!found && (io.flags & OPW_IO_HOST)) {
    object = kept.add(PyObject_CallFunction(state.hostValue, "OIO",
                                            reinterpret_cast<PyObject *>(const_cast<Operator *>(&self)),
                                            runtime::declaredOf(op.input_count, i), object));
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
      return self.fail(PyExc_TypeError, "found %s in one call, expected one kind",
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
  if (isSize(i) && (view.ndim != 0 || runtime::dtypeOf(view) != OPW_I64))
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

void Call::clearOutput(uint32_t i) {
  outputs[i].tensor = opw_tensor_t{};
  outputs[i].tensor.shape = outputs[i].shape;
  results[i] = nullptr;
  callers[i] = false;
}

bool Call::readOutputs(bool inplace) {
  PyObject *items = nullptr;
  Py_ssize_t count = 0;
  if (outs && (PyTuple_Check(outs) || PyList_Check(outs))) {
    items = kept.add(PySequence_Tuple(outs));
    if (!items)
      return false;
    count = PyTuple_GET_SIZE(items);
  }
  uint32_t least = variadicOut ? op.outputs[op.output_count - 1]->variadic_min : 0;
  uint32_t fixed = op.output_count - (variadicOut ? 1 : 0);
  Py_ssize_t wanted = variadicOut ? fixed + (least ? least : 1) : op.output_count;
  if (items && (variadicOut ? count < static_cast<Py_ssize_t>(fixed + least) : count != wanted))
    return self.fail(PyExc_ValueError, "out has %zd arrays, expected %s%zd", count, variadicOut ? "at least " : "",
                     variadicOut ? static_cast<Py_ssize_t>(fixed + least) : wanted);
  if (outs && !items && wanted != 1)
    return self.fail(PyExc_TypeError, "out is %s, expected a tuple of %zd: an array or None for each output",
                     Py_TYPE(outs)->tp_name, wanted);
  if (items && variadicOut)
    wanted = count;
  if (wanted > static_cast<Py_ssize_t>(OPW_MAX_TENSORS - inputCount))
    return self.fail(PyExc_ValueError, "found %zd outputs and %u inputs, expected at most %d together", wanted,
                     inputCount, OPW_MAX_TENSORS);
  if (wanted) {
    outputs = arena.make<View>(static_cast<size_t>(wanted));
    if (!outputs)
      return false;
  }
  for (uint32_t i = 0; i < static_cast<uint32_t>(wanted); ++i) {
    clearOutput(i);
    outputCount = i + 1;
    PyObject *array = items ? PyTuple_GET_ITEM(items, static_cast<Py_ssize_t>(i)) : outs ? outs : Py_None;
    if (array == Py_False) {
      if (!(outputOf(i).flags & OPW_IO_OPTIONAL) || isSize(i))
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

bool Call::infer() {
  opw_tensor_t *asked[OPW_MAX_TENSORS];
  for (uint32_t i = 0; i < outputCount; ++i)
    asked[i] = callers[i] && !isSize(i) ? nullptr : outputPointers[i];
  call.outputs = asked;
  Error error;
  bool good = self.accept(self.api->infer(&op, &call, &error), error.buffer);
  call.outputs = outputPointers;
  return good;
}

bool Call::execute() {
  Error error;
  PyThreadState *python = PyEval_SaveThread();
  opw_status_t s = self.api->run(&op, &call, &error);
  PyEval_RestoreThread(python);
  return self.accept(s, error.buffer);
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
  bool good = op.size_count != 0 ? runCounted(*this) : runFixed();
  return good ? finish() : nullptr;
}

/// Flat: entering the steps one by one would cost 2 % of a small call.
[[gnu::flatten]] PyObject *invoke(const Operator &self, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                                  bool inplace) {
  Call call(self);
  if (!call.parse(args, count, keywords) || !call.readInputs() || !call.readOutputs(inplace))
    return nullptr;
  return call.run();
}

} // namespace opw::plugins
