// The small callbacks of OrtCustomOp: names, types, arity.
#include "adapters/onnxruntime/adapter.h"

#include "core/dtype.h"
#include "core/state.h"

#include <stdlib.h>

namespace opw::ort {
namespace {

const opw_io_t &input(const CustomOp *op, size_t i) { return *of(op).op->inputs[i]; }
const opw_io_t &output(const CustomOp *op, size_t i) { return *of(op).op->outputs[i]; }

int characteristic(const opw_io_t &io) {
  return io.flags & OPW_IO_VARIADIC ? kVariadic : io.flags & OPW_IO_OPTIONAL ? kOptional : kRequired;
}

const char *name(const CustomOp *op) { return of(op).op->name; }
const char *provider(const CustomOp *) { return "CPUExecutionProvider"; }
int inputType(const CustomOp *op, size_t i) { return commonType(of(op).op, input(op, i)); }
int outputType(const CustomOp *op, size_t i) { return commonType(of(op).op, output(op, i)); }
size_t inputCount(const CustomOp *op) { return of(op).op->input_count; }
size_t outputCount(const CustomOp *op) { return of(op).op->output_count; }
int inputCharacteristic(const CustomOp *op, size_t i) { return characteristic(input(op, i)); }
int outputCharacteristic(const CustomOp *op, size_t i) { return characteristic(output(op, i)); }
int inputMemory(const CustomOp *op, size_t i) { return input(op, i).flags & OPW_IO_HOST ? kCpuInput : kDefaultMemory; }
int variadicInputs(const CustomOp *op) { return static_cast<int>(input(op, inputCount(op) - 1).variadic_min); }
int variadicOutputs(const CustomOp *op) { return static_cast<int>(output(op, outputCount(op) - 1).variadic_min); }
int homogeneous(const CustomOp *) { return 1; }
int firstVersion(const CustomOp *) { return 1; }
int lastVersion(const CustomOp *) { return INT32_MAX; }

struct Type {
  opw_dtype_t dtype;
  int element;
};
constexpr Type kTypes[] = {{OPW_BOOL, kBool},
                           {OPW_I8, kInt8},
                           {OPW_I16, kInt16},
                           {OPW_I32, kInt32},
                           {OPW_I64, kInt64},
                           {OPW_U8, kUint8},
                           {OPW_U16, kUint16},
                           {OPW_U32, kUint32},
                           {OPW_U64, kUint64},
                           {OPW_F16, kFloat16},
                           {OPW_BF16, kBfloat16},
                           {OPW_F32, kFloat},
                           {OPW_F64, kDouble},
                           {OPW_F8E4M3FN, kFloat8E4M3FN},
                           {OPW_F8E5M2, kFloat8E5M2},
                           {OPW_F8E4M3FNUZ, kFloat8E4M3FNUZ},
                           {OPW_F8E5M2FNUZ, kFloat8E5M2FNUZ},

                           {OPW_F8E8M0, kFloat8E8M0}};

/// The same by element type: every call asks for each of its tensors.
constexpr int kElements = kFloat8E8M0 + 1;
struct ByElement {
  opw_dtype_t dtype[kElements] = {};
  constexpr ByElement() {
    for (const Type &t : kTypes)
      dtype[t.element] = t.dtype;
  }
};
constexpr ByElement kByElement;

/// GetMayInplace gets no op, so each op has a function of its own; one that is further back gets no hint, and a copy.
constexpr size_t kMostHints = 64;

size_t hints(uint32_t number, int **inputs, int **outputs) {
  const opw_op_t *op = number < opw_tables.op_count ? opw_tables.ops[number] : nullptr;
  *inputs = op ? static_cast<int *>(calloc(op->output_count + 1, sizeof(int))) : nullptr;
  *outputs = op ? static_cast<int *>(calloc(op->output_count + 1, sizeof(int))) : nullptr;
  size_t count = 0;
  for (uint32_t o = 0; *inputs && *outputs && o < op->output_count; ++o)
    if (op->outputs[o]->alias >= 0) {
      (*inputs)[count] = op->outputs[o]->alias;
      (*outputs)[count++] = static_cast<int>(o);
    }
  return count;
}

void freeHints(int *inputs, int *outputs) {
  free(inputs);
  free(outputs);
}

template <uint32_t number> size_t hintsOf(int **inputs, int **outputs) { return hints(number, inputs, outputs); }

using Hints = size_t (*)(int **, int **);
struct HintTable {
  Hints at[kMostHints];
};
template <uint32_t number = 0> constexpr void fillHints(HintTable &table) {
  if constexpr (number < kMostHints) {
    table.at[number] = hintsOf<number>;
    fillHints<number + 1>(table);
  }
}
constexpr HintTable makeHints() {
  HintTable table{};
  fillHints(table);
  return table;
}
constexpr HintTable kHints = makeHints();

} // namespace

int elementType(opw_dtype_t dtype) {
  for (const Type &t : kTypes)
    if (t.dtype == dtype)
      return t.element;
  return kUndefined;
}

opw_dtype_t dtypeOf(int64_t element) {
  return element >= 0 && element < kElements ? kByElement.dtype[element] : opw_dtype_t{OPW_NONE};
}

int commonType(const opw_op_t *op, const opw_io_t &io) {
  int type = kUndefined;
  for (uint32_t c = 0; c < op->combo_count; ++c) {
    int t = elementType(op->combos[c * op->typevar_count + io.typevar]);
    if (c != 0 && t != type)
      return kUndefined;
    type = t;
  }
  return type;
}

Status *errorOf(const Api &api, opw_status_t status, const char *text) {
  int code = kFail;
  switch (status) {
  case OPW_E_ARGUMENT:
  case OPW_E_DTYPE:
  case OPW_E_SHAPE:
  case OPW_E_LAYOUT:
  case OPW_E_OVERFLOW: // of the sizes or values that were given
    code = kInvalidArgument;
    break;
  case OPW_E_UNSUPPORTED:
    code = kNotImplemented;
    break;
  default:
    break;
  }
  return api.error(code, text);
}

void fillCallbacks(Operator &o, uint32_t number) {
  o.version = kApiVersion;
  o.GetName = name;
  o.GetExecutionProviderType = provider;
  o.GetInputType = inputType;
  o.GetInputTypeCount = inputCount;
  o.GetOutputType = outputType;
  o.GetOutputTypeCount = outputCount;
  o.GetInputCharacteristic = inputCharacteristic;
  o.GetOutputCharacteristic = outputCharacteristic;
  o.GetInputMemoryType = inputMemory;
  o.GetVariadicInputMinArity = variadicInputs;
  o.GetVariadicInputHomogeneity = homogeneous;
  o.GetVariadicOutputMinArity = variadicOutputs;
  o.GetVariadicOutputHomogeneity = homogeneous;
  o.CreateKernelV2 = createKernel;
  o.KernelComputeV2 = computeKernel;
  o.KernelDestroy = destroyKernel;
  // Before 1.24 the host reads the type of an input that a node leaves out, when it infers shapes through us.
  bool leftOut = false;
  for (uint32_t i = 0; i < o.op->input_count; ++i)
    leftOut = leftOut || (o.op->inputs[i]->flags & OPW_IO_OPTIONAL);
  o.InferOutputShapeFn = leftOut && !o.api.has(24) ? nullptr : inferShapes;
  o.GetStartVersion = firstVersion;
  o.GetEndVersion = lastVersion;
  if (number < kMostHints) {
    o.GetMayInplace = kHints.at[number];
    o.ReleaseMayInplace = freeHints;
  }
}

} // namespace opw::ort
