// The small callbacks of OrtCustomOp: names, types, arity.
#include "adapters/onnxruntime/adapter.h"

#include "core/dtype.h"

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
int firstVersion(const CustomOp *op) { return of(op).firstVersion; }
int lastVersion(const CustomOp *op) { return of(op).lastVersion; }

struct Pair {
  opw_dtype_t dtype;
  int element;
};
constexpr Pair kTypes[] = {{OPW_BOOL, kBool},
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

} // namespace

int elementType(opw_dtype_t dtype) {
  for (const Pair &p : kTypes)
    if (p.dtype == dtype)
      return p.element;
  return kUndefined;
}

opw_dtype_t dtypeOf(int element) {
  for (const Pair &p : kTypes)
    if (p.element == element)
      return p.dtype;
  return OPW_NONE;
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

void fillCallbacks(Operator &o) {
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
  o.InferOutputShapeFn = inferShapes;
  o.GetStartVersion = firstVersion;
  o.GetEndVersion = lastVersion;
}

} // namespace opw::ort
