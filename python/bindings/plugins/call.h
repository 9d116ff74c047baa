// One call of an operator from Python: what it is given (arguments.cpp), the views and the run (call.cpp), outputs
// whose sizes the operator counts (counted.cpp), and shapes without data (infer.cpp). A call lives on the stack of the
// thread that makes it.
#pragma once

#include "attributes.h"

#include "core/frame.h"
#include "core/phases.h"

namespace opw::plugins {

/// What a keyword of a call means.
struct Keyword {
  enum Kind : uint8_t { Input, Attribute, Out, Tactic } kind;
  uint32_t index;
  PyObject *name; ///< interned, owned
};

/// The object opwright._plugins.Operator. It never changes once it is made, so threads share it.
struct Operator {
  PyObject_HEAD vectorcallfunc call;
  const opw_op_t *op;
  const opw_api_t *api;
  const opw_tables_t *tables;
  PyObject *name; ///< "ns::name"
  Keyword *keywords;
  uint32_t keywordCount;

  /// Sets an error "ns::name: ..."; false.
  bool fail(PyObject *error, const char *format, ...) const;
  /// False with the error of a call that the library refused.
  bool accept(opw_status_t status, const char *text) const {
    return status == OPW_OK || raiseStatus(name, status, text);
  }
};

/// A place for the library's text.
struct Error : opw_error_t {
  Error() : opw_error_t{sizeof(opw_error_t), OPW_OK, buffer, sizeof buffer} { buffer[0] = 0; }
  char buffer[1024];
};

inline bool isVariadic(const opw_io_t *const *ios, uint32_t count) {
  return count > 0 && (ios[count - 1]->flags & OPW_IO_VARIADIC);
}

/// What a call is given, by position and by keyword. Also owns what reading it makes.
class Arguments {
public:
  explicit Arguments(const Operator &callee)
      : self(callee), op(*callee.op), variadic(isVariadic(op.inputs, op.input_count)) {}
  Arguments(const Arguments &) = delete;
  Arguments &operator=(const Arguments &) = delete;

  /// As the vectorcall protocol hands them over; false with an error. All that the operator needs is there then.
  bool parse(PyObject *const *args, Py_ssize_t count, PyObject *keywords);
  bool takeKeyword(PyObject *name, PyObject *value);

  const Operator &self;
  const opw_op_t &op;
  Arena arena;
  Kept kept;
  PyObject *given[OPW_MAX_TENSORS]; ///< inputs, borrowed; null = absent
  uint32_t inputCount = 0;
  PyObject *outs = nullptr; ///< what out= got, borrowed
  int32_t tactic = 0;
  opw_attr_value_t *attrs = nullptr; ///< null: all default

private:
  const bool variadic;

  bool failInputs(const char *what) const;
  bool takePositional(PyObject *const *args, uint32_t count);
  bool takeInput(uint32_t index, PyObject *value);
  bool takeAttribute(uint32_t index, PyObject *value);
  bool takeTactic(PyObject *value);
  bool checkMissing();
};

/// The views of a call, the call of the library, and its results.
class Call : public Arguments {
public:
  explicit Call(const Operator &callee) : Arguments(callee), variadicOut(isVariadic(op.outputs, op.output_count)) {}
  ~Call() {
    for (uint32_t i = 0; i < outputCount; ++i)
      Py_XDECREF(results[i]);
    free(workspace);
  }

  /// In this order, each false with an error; `inplace`: outputs lie in the memory of their inputs where they may.
  bool readInputs();
  bool readOutputs(bool inplace);
  /// The result of the Python call, or null with an error.
  PyObject *run();

  // What the steps are made of, for counted.cpp and infer.cpp. Each is false with an error.
  bool readInput(uint32_t i);
  /// An output that is to be made, or whose type is asked for.
  void clearOutput(uint32_t i);
  /// Fills `call`.
  void prepare();
  /// Types and sizes of the outputs that are to be made. The caller's own are left out: the run compares them.
  bool infer();
  bool execute();
  /// Makes an output that is not there, as its view says.
  bool make(uint32_t i);
  bool isCounted(uint32_t i) const { return runtime::isCounted(outputOf(i)); }
  bool isSize(uint32_t i) const { return outputOf(i).flags & OPW_IO_SIZE; }

  const opw_io_t &inputOf(uint32_t i) const { return runtime::inputOf(&op, i); }
  const opw_io_t &outputOf(uint32_t i) const { return runtime::outputOf(&op, i); }
  Place inputPlace(uint32_t i) const { return {self.name, "input", inputOf(i).name}; }
  Place outputPlace(uint32_t i) const { return {self.name, "output", outputOf(i).name}; }

  uint32_t outputCount = 0;
  View *inputs = nullptr, *outputs = nullptr;
  const opw_tensor_t *inputPointers[OPW_MAX_TENSORS];
  opw_tensor_t *outputPointers[OPW_MAX_TENSORS];
  PyObject *results[OPW_MAX_TENSORS]; ///< owned: arrays, or None for an output that is left out; null until made
  bool callers[OPW_MAX_TENSORS];      ///< the result is the caller's own array
  opw_call_t call{};
  void *workspace = nullptr; ///< that the call made, from malloc

private:
  const bool variadicOut;
  const ArrayType *type = &kNumPyType; ///< of the outputs

  bool readOutput(uint32_t i, PyObject *array);
  bool alias(uint32_t i);
  bool runFixed();
  PyObject *finish();
};

/// A call as the vectorcall protocol hands it over. Null with an error.
PyObject *invoke(const Operator &self, PyObject *const *args, Py_ssize_t count, PyObject *keywords, bool inplace);

/// The run of an operator that counts sizes of its outputs; false with an error.
bool runCounted(Call &call);

/// The method `infer`: (number of the element type, sizes) of each of `count` outputs. Null with an error.
PyObject *inferWithoutData(Call &call, PyObject *described, PyObject *attributes, uint32_t count);

} // namespace opw::plugins
