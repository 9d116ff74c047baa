#include "adapters/tvmffi/arguments.h"

#include "core/attribute.h"
#include "core/dtype.h"
#include "core/error.h"

#include <string.h>

namespace opw::tvmffi {
namespace {

using runtime::failOp;
using runtime::Text;

constexpr const char *kTypeError = "TypeError", *kValueError = "ValueError";

/// What an argument is, for a message.
const char *nameOf(const Any &a) {
  switch (a.type) {
  case kNone:
    return "None";
  case kInt:
    return "an int";
  case kBool:
    return "a bool";
  case kFloat:
    return "a float";
  case kOpaquePtr:
    return "a pointer";
  case kDataType:
    return "a dtype";
  case kDevice:
    return "a device";
  case kDLTensorPtr:
  case kTensor:
    return "a tensor";
  case kRawStr:
  case kSmallStr:
  case kStr:
    return "a str";
  case kByteArrayPtr:
  case kSmallBytes:
  case kBytes:
    return "bytes";
  case kShape:
    return "a shape";
  case kArray:
  case kList:
    return "a list";
  case kMap:
    return "a map";
  case kBigInt:
    return "an int of more than 64 bits";
  default:
    return "an object of another type";
  }
}

/// What an attribute takes, by its kind: in the signature and in a message.
struct Kind {
  const char *type, *expected;
};
Kind kindOf(uint32_t kind) {
  static constexpr Kind kKinds[] = {{"None", "None"},
                                    {"int", "an int"},
                                    {"float", "a float or an int"},
                                    {"bool", "a bool"},
                                    {"str", "a str"},
                                    {"bytes", "bytes"},
                                    {"list[int]", "a list of ints or a shape"},
                                    {"list[float]", "a list of floats or ints"},
                                    {"list[bool]", "a list of bools"},
                                    {"list[str]", "a list of strs"},
                                    {"Tensor", "a tensor"},
                                    {"str", "a str"},
                                    {"dtype", "a dtype or its name"}};
  static_assert(sizeof kKinds / sizeof *kKinds == OPW_ATTR_KINDS);
  return kind < OPW_ATTR_KINDS ? kKinds[kind] : Kind{"?", "a value of a kind that is not known here"};
}

// ---- arity

void addTensors(Text &text, const opw_io_t *const *ios, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const opw_io_t &io = *ios[i];
    text.add("%s%s: %s%s", text.str()[0] ? ", " : "", io.name, io.flags & OPW_IO_VARIADIC ? "list[Tensor]" : "Tensor",
             io.flags & OPW_IO_OPTIONAL ? " | None" : "");
  }
}

const char *wrongCount(const opw_op_t *op, int32_t found, uint32_t expected, opw_error_t *error) {
  Text signature;
  addTensors(signature, op->inputs, op->input_count);
  for (uint32_t i = 0; i < op->attr_count; ++i)
    signature.add("%s%s: %s%s", signature.str()[0] ? ", " : "", op->attrs[i]->name, kindOf(op->attrs[i]->kind).type,
                  op->attrs[i]->fallback.kind != OPW_ATTR_NONE ? " | None" : "");
  addTensors(signature, op->outputs, op->output_count);
  failOp(error, OPW_E_ARGUMENT, op, "found %d arguments, expected %u: (%s)", found, expected, signature.str());
  return kTypeError;
}

// ---- tensors

/// The view in an argument; null when it is no tensor. A DLTensor has the layout of our view.
opw_tensor_t *tensorIn(const Any &a) {
  if (a.type == kTensor)
    return const_cast<opw_tensor_t *>(cellOf<opw_tensor_t>(a.object));
  return a.type == kDLTensorPtr ? static_cast<opw_tensor_t *>(a.pointer) : nullptr;
}

/// One side of the op: an argument per declared tensor, the last one a list where it is variadic.
template <typename Tensor> const char *bindTensors(const opw_op_t *op, const char *side, const opw_io_t *const *ios,
                                                   uint32_t declared, const Any *args, Tensor **out, uint32_t *count,
                                                   opw_error_t *error) {
  auto wrong = [&](const opw_io_t &io, const Any &found, const char *where, const char *expected) {
    failOp(error, OPW_E_ARGUMENT, op, "%s %s: found %s%s, expected %s", side, io.name, nameOf(found), where, expected);
    return kTypeError;
  };
  uint32_t n = 0;
  for (uint32_t i = 0; i < declared; ++i) {
    const opw_io_t &io = *ios[i];
    const Any &a = args[i];
    if (io.flags & OPW_IO_VARIADIC) {
      if (a.type != kArray && a.type != kList)
        return wrong(io, a, "", "a list of tensors");
      const auto *list = cellOf<SequenceCell>(a.object);
      if (list->size > OPW_MAX_TENSORS - static_cast<int64_t>(n)) {
        failOp(error, OPW_E_ARGUMENT, op, "%s %s: found %lld tensors, expected at most %u", side, io.name,
               static_cast<long long>(list->size), OPW_MAX_TENSORS - n);
        return kValueError;
      }
      for (int64_t k = 0; k < list->size; ++k)
        if (!(out[n++] = tensorIn(list->data[k])))
          return wrong(io, list->data[k], " in the list", "a tensor");
      continue;
    }
    out[n] = tensorIn(a);
    if (!out[n++] && !(a.type == kNone && (io.flags & OPW_IO_OPTIONAL)))
      return wrong(io, a, "", io.flags & OPW_IO_OPTIONAL ? "a tensor or None" : "a tensor");
  }
  *count = n;
  return nullptr;
}

// ---- attributes

/// The text of a str, NUL ended, or of bytes; data is null when it is neither.
ByteArray textIn(const Any &a) {
  switch (a.type) {
  case kSmallStr:
  case kSmallBytes:
    return {a.inside, a.length};
  case kRawStr:
    return {a.text, strlen(a.text)};
  case kByteArrayPtr:
    return *static_cast<const ByteArray *>(a.pointer);
  case kStr:
  case kBytes:
    return *cellOf<ByteArray>(a.object);
  default:
    return {nullptr, 0};
  }
}
bool isStr(const Any &a) { return a.type == kSmallStr || a.type == kStr || a.type == kRawStr; }
bool isBytes(const Any &a) { return a.type == kSmallBytes || a.type == kBytes || a.type == kByteArrayPtr; }

bool toDouble(const Any &a, double *value) {
  if (a.type != kFloat && a.type != kInt)
    return false;
  *value = a.type == kFloat ? a.number : static_cast<double>(a.integer);
  return true;
}

class AttributeBinder {
public:
  AttributeBinder(const opw_op_t *op, const opw_attr_t &attr, Arguments &bound, opw_error_t *error)
      : op(op), attr(attr), bound(bound), error(error) {}

  const char *bind(const Any &a, opw_attr_value_t *v) {
    v->kind = a.type == kNone ? uint32_t{OPW_ATTR_NONE} : attr.kind;
    v->count = 0;
    v->u.i = 0;
    if (a.type == kNone)
      return nullptr; // its default
    switch (attr.kind) {
    case OPW_ATTR_INT:
      v->u.i = a.integer;
      return a.type == kInt ? nullptr : wrong(a);
    case OPW_ATTR_BOOL:
      v->u.i = a.integer;
      return a.type == kBool ? nullptr : wrong(a);
    case OPW_ATTR_FLOAT:
      return toDouble(a, &v->u.f) ? nullptr : wrong(a);
    case OPW_ATTR_STRING:
    case OPW_ATTR_BYTES:
      if (attr.kind == OPW_ATTR_STRING ? !isStr(a) : !isBytes(a))
        return wrong(a);
      v->u.s = textIn(a).data;
      v->count = static_cast<uint32_t>(textIn(a).size);
      return nullptr;
    case OPW_ATTR_ENUM:
      return choice(a, &v->u.i);
    case OPW_ATTR_DTYPE:
      return dtype(a, &v->u.i);
    case OPW_ATTR_TENSOR:
      return (v->u.tensor = tensorIn(a)) ? nullptr : wrong(a);
    case OPW_ATTR_INTS:
      if (a.type != kShape)
        return list(a, v);
      v->u.ints = cellOf<ShapeCell>(a.object)->data;
      v->count = static_cast<uint32_t>(cellOf<ShapeCell>(a.object)->size);
      return nullptr;
    default:
      return list(a, v);
    }
  }

private:
  const opw_op_t *op;
  const opw_attr_t &attr;
  Arguments &bound;
  opw_error_t *error;

  const char *wrong(const Any &found) const {
    failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found %s, expected %s", attr.name, nameOf(found),
           kindOf(attr.kind).expected);
    return kTypeError;
  }

  const char *choice(const Any &a, int64_t *index) const {
    if (!isStr(a))
      return wrong(a);
    ByteArray text = textIn(a);
    return runtime::readChoice(op, attr, text.data, text.size, index, error) == OPW_OK ? nullptr : kValueError;
  }

  const char *dtype(const Any &a, int64_t *value) const {
    if (a.type == kDataType) {
      opw_tensor_t view{};
      view.dl_code = a.dtype.code;
      view.dl_bits = a.dtype.bits;
      view.dl_lanes = a.dtype.lanes;
      *value = runtime::dtypeOf(view);
      if (*value != OPW_NONE)
        return nullptr;
      failOp(error, OPW_E_DTYPE, op,
             "attribute %s: found a dtype of code %u, %u bits and %u lanes, which no kernel has", attr.name,
             a.dtype.code, a.dtype.bits, a.dtype.lanes);
      return kTypeError;
    }
    if (!isStr(a))
      return wrong(a);
    ByteArray text = textIn(a);
    return runtime::readDtype(op, attr, text.data, text.size, value, error) == OPW_OK ? nullptr : kValueError;
  }

  /// A list of ints, floats, bools or strs, copied into the words of the call.
  const char *list(const Any &a, opw_attr_value_t *v) {
    if (a.type != kArray && a.type != kList)
      return wrong(a);
    const auto *from = cellOf<SequenceCell>(a.object);
    uint64_t *words = bound.words + bound.wordCount;
    if (from->size > static_cast<int64_t>(kListWords - bound.wordCount)) {
      failOp(
          error, OPW_E_ARGUMENT, op,
          "attribute %s: found %lld elements after %u of other lists, expected at most %u in all lists of a call; pass "
          "ints as a shape",
          attr.name, static_cast<long long>(from->size), bound.wordCount, kListWords);
      return kValueError;
    }
    for (int64_t i = 0; i < from->size; ++i)
      if (!element(from->data[i], words, i)) {
        failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found %s at element %lld, expected %s", attr.name,
               nameOf(from->data[i]), static_cast<long long>(i), kindOf(attr.kind).expected);
        return kTypeError;
      }
    bound.wordCount += static_cast<uint32_t>(from->size);
    v->u.ints = reinterpret_cast<const int64_t *>(words);
    v->count = static_cast<uint32_t>(from->size);
    return nullptr;
  }

  bool element(const Any &a, uint64_t *words, int64_t i) const {
    switch (attr.kind) {
    case OPW_ATTR_INTS:
      memcpy(words + i, &a.integer, sizeof *words);
      return a.type == kInt;
    case OPW_ATTR_FLOATS: {
      double value = 0;
      bool good = toDouble(a, &value);
      memcpy(words + i, &value, sizeof *words);
      return good;
    }
    case OPW_ATTR_BOOLS:
      reinterpret_cast<uint8_t *>(words)[i] = a.integer != 0;
      return a.type == kBool;
    case OPW_ATTR_STRINGS: {
      const char *text = isStr(a) ? textIn(a).data : nullptr;
      memcpy(words + i, &text, sizeof *words);
      return text != nullptr;
    }
    default:
      return false;
    }
  }
};

} // namespace

const char *bindArguments(const opw_op_t *op, const Any *args, int32_t count, Arguments &bound, opw_error_t *error) {
  uint32_t expected = op->input_count + op->attr_count + op->output_count;
  if (count < 0 || static_cast<uint32_t>(count) != expected)
    return wrongCount(op, count, expected, error);
  if (const char *kind =
          bindTensors(op, "input", op->inputs, op->input_count, args, bound.inputs, &bound.inputCount, error))
    return kind;
  args += op->input_count;
  for (uint32_t i = 0; i < op->attr_count; ++i)
    if (const char *kind = AttributeBinder(op, *op->attrs[i], bound, error).bind(args[i], &bound.attrs[i]))
      return kind;
  args += op->attr_count;
  return bindTensors(op, "output", op->outputs, op->output_count, args, bound.outputs, &bound.outputCount, error);
}

const char *exceptionOf(opw_status_t status) {
  switch (status) {
  case OPW_E_ARGUMENT:
  case OPW_E_SHAPE:
  case OPW_E_LAYOUT:
  case OPW_E_OVERFLOW:
    return kValueError;
  case OPW_E_DTYPE:
    return kTypeError;
  case OPW_E_MEMORY:
    return "MemoryError";
  default:
    return "RuntimeError";
  }
}

} // namespace opw::tvmffi
