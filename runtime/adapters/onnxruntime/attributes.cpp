#include "adapters/onnxruntime/adapter.h"

#include "core/attribute.h"
#include "core/dtype.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

namespace opw::ort {
namespace {

char *copyText(const char *text, size_t length) {
  auto *copy = static_cast<char *>(malloc(length + 1));
  if (copy) {
    memcpy(copy, text, length);
    copy[length] = 0;
  }
  return copy;
}

// ---- of a kernel: two calls, the first asks for the size

const KernelInfo *info(const void *ctx) { return static_cast<const KernelInfo *>(ctx); }

bool kernelInteger(const void *ctx, const Api &api, const char *name, int64_t *value) {
  return api.ok(kKernelInfoGetAttributeInt, info(ctx), name, value);
}

bool kernelNumber(const void *ctx, const Api &api, const char *name, float *value) {
  return api.ok(kKernelInfoGetAttributeFloat, info(ctx), name, value);
}

template <typename T>
bool kernelList(Slot slot, const void *ctx, const Api &api, const char *name, T **data, size_t *count) {
  *data = nullptr;
  *count = 0;
  if (!api.ok(slot, info(ctx), name, static_cast<T *>(nullptr), count))
    return false;
  *data = static_cast<T *>(malloc(*count * sizeof(T) + 1));
  return *data && (*count == 0 || api.ok(slot, info(ctx), name, *data, count));
}

bool kernelText(const void *ctx, const Api &api, const char *name, char **data, size_t *count) {
  if (!kernelList(kKernelInfoGetAttributeString, ctx, api, name, data, count))
    return false;
  *count -= *count > 0; // without the NUL
  return true;
}

bool kernelIntegers(const void *ctx, const Api &api, const char *name, int64_t **data, size_t *count) {
  return kernelList(kKernelInfoGetAttributeInts, ctx, api, name, data, count);
}

bool kernelNumbers(const void *ctx, const Api &api, const char *name, float **data, size_t *count) {
  return kernelList(kKernelInfoGetAttributeFloats, ctx, api, name, data, count);
}

bool kernelTexts(const void *ctx, const Api &api, const char *name, char ***data, size_t *count) {
  Allocator *allocator = nullptr;
  char **strings = nullptr;
  *data = nullptr;
  *count = 0;
  if (!api.has(25) || !api.ok(kGetAllocatorWithDefaultOptions, &allocator) ||
      !api.ok(kKernelInfoGetAttributeStrings, info(ctx), name, allocator, &strings, count))
    return false;
  *data = static_cast<char **>(calloc(*count + 1, sizeof(char *)));
  for (size_t i = 0; i < *count; ++i) {
    if (*data)
      (*data)[i] = copyText(strings[i], strlen(strings[i]));
    api.ok(kAllocatorFree, allocator, static_cast<void *>(strings[i]));
  }
  api.ok(kAllocatorFree, allocator, static_cast<void *>(strings));
  return *data != nullptr;
}

bool kernelTensor(const void *ctx, const Api &api, const char *name, Value **value) {
  Allocator *allocator = nullptr;
  return api.ok(kGetAllocatorWithDefaultOptions, &allocator) &&
         api.ok(kKernelInfoGetAttributeTensor, info(ctx), name, allocator, value);
}

// ---- of shape inference: an OpAttr, read by type; too small a buffer is an error that says the size

bool readAttr(const void *ctx, const Api &api, const char *name, int type, void *data, size_t bytes, size_t *out) {
  const OpAttr *attr = nullptr;
  *out = 0;
  return api.ok(kShapeInferGetAttribute, static_cast<const ShapeInferContext *>(ctx), name, &attr) && attr &&
         api.ok(kReadOpAttr, attr, type, data, bytes, out);
}

bool shapeInteger(const void *ctx, const Api &api, const char *name, int64_t *value) {
  size_t out;
  return readAttr(ctx, api, name, kAttrInt, value, sizeof *value, &out);
}

bool shapeNumber(const void *ctx, const Api &api, const char *name, float *value) {
  size_t out;
  return readAttr(ctx, api, name, kAttrFloat, value, sizeof *value, &out);
}

template <typename T>
bool shapeList(int type, const void *ctx, const Api &api, const char *name, T **data, size_t *count) {
  size_t bytes = 0;
  T first[64];
  *data = nullptr;
  bool read = readAttr(ctx, api, name, type, first, sizeof first, &bytes);
  if (!read && bytes <= sizeof first)
    return false;
  *data = static_cast<T *>(calloc(1, bytes + 1));
  *count = bytes / sizeof(T);
  if (!*data)
    return false;
  if (read)
    memcpy(*data, first, bytes);
  return read || readAttr(ctx, api, name, type, *data, bytes, &bytes);
}

bool shapeText(const void *ctx, const Api &api, const char *name, char **data, size_t *count) {
  return shapeList(kAttrString, ctx, api, name, data, count);
}

bool shapeIntegers(const void *ctx, const Api &api, const char *name, int64_t **data, size_t *count) {
  return shapeList(kAttrInts, ctx, api, name, data, count);
}

bool shapeNumbers(const void *ctx, const Api &api, const char *name, float **data, size_t *count) {
  return shapeList(kAttrFloats, ctx, api, name, data, count);
}

/// The strings lie one behind the other, each with its NUL.
bool shapeTexts(const void *ctx, const Api &api, const char *name, char ***data, size_t *count) {
  char *bytes = nullptr;
  size_t length = 0;
  *data = nullptr;
  *count = 0;
  bool good = shapeList(kAttrStrings, ctx, api, name, &bytes, &length);
  for (size_t i = 0; good && i < length; ++i)
    *count += bytes[i] == 0;
  if (good)
    *data = static_cast<char **>(calloc(*count + 1, sizeof(char *)));
  const char *at = bytes;
  for (size_t i = 0; *data && i < *count; ++i) {
    size_t n = strlen(at);
    (*data)[i] = copyText(at, n);
    at += n + 1;
  }
  free(bytes);
  return *data != nullptr;
}

bool shapeTensor(const void *ctx, const Api &api, const char *name, Value **value) {
  const OpAttr *attr = nullptr;
  return api.has(23) && api.ok(kShapeInferGetAttribute, static_cast<const ShapeInferContext *>(ctx), name, &attr) &&
         attr && api.ok(kOpAttrGetTensor, attr, value);
}

/// The elements of a tensor attribute, each as `read` has it: what exporters make of long lists.
template <typename T> bool listOfTensor(const Attributes::Source &source, const void *ctx, const Api &api,
                                        const char *name, T (*read)(const void *, opw_dtype_t, int64_t), bool floats,
                                        T **data, size_t *count) {
  Value *value = nullptr;
  TensorInfo *shape = nullptr;
  void *elements = nullptr;
  int type = kUndefined;
  *data = nullptr;
  *count = 0;
  if (!source.tensor(ctx, api, name, &value) || !value)
    return false;
  bool good = api.ok(kGetTensorTypeAndShape, const_cast<const Value *>(value), &shape) &&
              api.ok(kGetTensorElementType, const_cast<const TensorInfo *>(shape), &type) &&
              api.ok(kGetTensorElementCount, const_cast<const TensorInfo *>(shape), count) &&
              dtypeOf(type) != OPW_NONE && (floats || runtime::dtypeInfo(dtypeOf(type)).kind != 'f') &&
              (*count == 0 || api.ok(kGetTensorMutableData, value, &elements));
  if (good)
    *data = static_cast<T *>(calloc(*count + 1, sizeof(T)));
  if (!*data)
    *count = 0;
  for (size_t i = 0; i < *count; ++i)
    (*data)[i] = read(elements, dtypeOf(type), static_cast<int64_t>(i));
  if (shape)
    api.get<void>(kReleaseTensorInfo, shape);
  api.get<void>(kReleaseValue, value);
  return *data != nullptr;
}

double numberAt(const void *data, opw_dtype_t type, int64_t index) {
  return runtime::dtypeInfo(type).kind == 'f' ? runtime::floatAt(data, type, index)
                                              : static_cast<double>(runtime::integerAt(data, type, index));
}

/// What the node has under this name, for a message; null when it has nothing.
const char *kindThere(const Attributes::Source &source, const void *ctx, const Api &api, const char *name) {
  int64_t i;
  float f;
  if (source.integer(ctx, api, name, &i))
    return "an int";
  if (source.number(ctx, api, name, &f))
    return "a float";
  void *data = nullptr;
  size_t count = 0;
  const char *kind = nullptr;
  if (source.text(ctx, api, name, reinterpret_cast<char **>(&data), &count))
    kind = "a string";
  free(data);
  data = nullptr;
  if (!kind && source.integers(ctx, api, name, reinterpret_cast<int64_t **>(&data), &count) && count)
    kind = "ints";
  free(data);
  data = nullptr;
  if (!kind && source.numbers(ctx, api, name, reinterpret_cast<float **>(&data), &count) && count)
    kind = "floats";
  free(data);
  char **texts = nullptr;
  if (!kind && source.texts(ctx, api, name, &texts, &count)) {
    kind = count ? "strings" : nullptr;
    for (size_t i = 0; i < count; ++i)
      free(texts[i]);
  }
  free(texts);
  Value *value = nullptr;
  if (!kind && source.tensor(ctx, api, name, &value) && value) {
    kind = "a tensor";
    api.get<void>(kReleaseValue, value);
  }
  return kind;
}

const char *expectedKind(uint32_t kind) {
  static const char *const kNames[] = {"nothing",
                                       "an int",
                                       "a float",
                                       "an int",
                                       "a string",
                                       "a string",
                                       "ints",
                                       "floats",
                                       "ints",
                                       "strings",
                                       "a tensor",
                                       "a string",
                                       "the name of an element type"};
  static_assert(sizeof kNames / sizeof *kNames == OPW_ATTR_KINDS);
  return kind < OPW_ATTR_KINDS ? kNames[kind] : "unknown";
}

/// A choice or an element type as its number: of its name, or of ONNX's number in the value where `name` is null.
opw_status_t resolve(const opw_op_t *op, const opw_attr_t &attr, const char *name, opw_attr_value_t *v,
                     opw_error_t *error) {
  if (name)
    return attr.kind == OPW_ATTR_ENUM ? runtime::readChoice(op, attr, name, strlen(name), &v->u.i, error)
                                      : runtime::readDtype(op, attr, name, strlen(name), &v->u.i, error);
  if (attr.kind != OPW_ATTR_DTYPE)
    return OPW_OK;
  int64_t number = v->u.i;
  v->u.i = dtypeOf(number);
  return v->u.i != OPW_NONE
             ? OPW_OK
             : runtime::failOp(error, OPW_E_ARGUMENT, op,
                               "attribute %s: found %lld, expected an element type: its name, or its number in ONNX",
                               attr.name, static_cast<long long>(number));
}

} // namespace

const Attributes::Source kKernelAttributes = {kernelInteger, kernelNumber, kernelText,  kernelIntegers,
                                              kernelNumbers, kernelTexts,  kernelTensor};
const Attributes::Source kShapeAttributes = {shapeInteger, shapeNumber, shapeText,  shapeIntegers,
                                             shapeNumbers, shapeTexts,  shapeTensor};

Attributes::~Attributes() {
  while (blocks) {
    Block *next = blocks->next;
    free(blocks->memory);
    free(blocks);
    blocks = next;
  }
}

/// Frees it at the end; also what a failed read left. Null when there is no memory.
void *Attributes::keep(void *memory) {
  auto *block = memory ? static_cast<Block *>(malloc(sizeof(Block))) : nullptr;
  if (!block) {
    free(memory);
    return nullptr;
  }
  *block = {memory, blocks};
  blocks = block;
  return memory;
}

/// ONNX Runtime gives an empty list for an attribute of another kind too: an empty one is one that has no other kind.
bool Attributes::readList(const opw_attr_t &attr, const Api &api, const Source &source, const void *ctx,
                          opw_attr_value_t *v) {
  size_t count = 0;
  bool there = false;
  auto isEmpty = [&] { return there && !kindThere(source, ctx, api, attr.name); };
  if (attr.kind == OPW_ATTR_STRINGS) {
    char **texts = nullptr;
    there = source.texts(ctx, api, attr.name, &texts, &count);
    for (size_t i = 0; texts && i < count; ++i)
      texts[i] = static_cast<char *>(keep(texts[i]));
    v->u.strings = static_cast<char **>(keep(texts));
    v->count = static_cast<uint32_t>(count);
    return v->u.strings && (count != 0 || isEmpty());
  }
  if (attr.kind == OPW_ATTR_FLOATS) {
    float *numbers = nullptr;
    double *wide = nullptr;
    there = source.numbers(ctx, api, attr.name, &numbers, &count);
    numbers = static_cast<float *>(keep(numbers));
    if (numbers && count != 0) {
      wide = static_cast<double *>(calloc(count, sizeof(double)));
      for (size_t i = 0; wide && i < count; ++i)
        wide[i] = static_cast<double>(numbers[i]);
    } else if (!listOfTensor(source, ctx, api, attr.name, numberAt, true, &wide, &count)) {
      count = 0;
    }
    v->u.floats = static_cast<double *>(keep(wide));
    v->count = static_cast<uint32_t>(count);
    if (v->u.floats)
      return true;
  }
  int64_t *integers = nullptr;
  there = source.integers(ctx, api, attr.name, &integers, &count) || there;
  integers = static_cast<int64_t *>(keep(integers));
  count = integers ? count : 0;
  int64_t *elements = nullptr;
  size_t elementCount = 0;
  if ((!integers || count == 0) && attr.kind != OPW_ATTR_FLOATS &&
      listOfTensor(source, ctx, api, attr.name, runtime::integerAt, false, &elements, &elementCount)) {
    integers = static_cast<int64_t *>(keep(elements));
    count = elementCount;
  } else if (count == 0 && !isEmpty()) {
    return false;
  }
  v->count = static_cast<uint32_t>(count);
  v->u.ints = integers;
  if (attr.kind == OPW_ATTR_INTS)
    return integers != nullptr;
  void *converted = calloc(count + 1, sizeof(double));
  for (size_t i = 0; converted && i < count; ++i)
    if (attr.kind == OPW_ATTR_BOOLS)
      static_cast<uint8_t *>(converted)[i] = integers[i] != 0;
    else
      static_cast<double *>(converted)[i] = static_cast<double>(integers[i]); // floats without a point
  v->u.bytes = keep(converted);
  return v->u.bytes != nullptr;
}

/// What the node has for an attribute; of a choice and of an element type the name, where it has one.
bool Attributes::readOne(const opw_attr_t &attr, const Api &api, const Source &source, const void *ctx,
                         opw_attr_value_t *v, const char **name) {
  size_t count = 0;
  int64_t integer = 0;
  float number = 0;
  v->kind = attr.kind;
  switch (attr.kind) {
  case OPW_ATTR_INT:
  case OPW_ATTR_BOOL:
    if (!source.integer(ctx, api, attr.name, &integer))
      return false;
    v->u.i = attr.kind == OPW_ATTR_BOOL ? integer != 0 : integer;
    return true;
  case OPW_ATTR_FLOAT:
    if (source.number(ctx, api, attr.name, &number)) {
      v->u.f = static_cast<double>(number);
      return true;
    }
    if (!source.integer(ctx, api, attr.name, &integer)) // a float without a point
      return false;
    v->u.f = static_cast<double>(integer);
    return true;
  case OPW_ATTR_DTYPE:
    if (source.integer(ctx, api, attr.name, &v->u.i)) // as ONNX's own operators have it
      return true;
    [[fallthrough]];
  case OPW_ATTR_STRING:
  case OPW_ATTR_BYTES:
  case OPW_ATTR_ENUM: {
    char *text = nullptr;
    bool have = source.text(ctx, api, attr.name, &text, &count);
    text = static_cast<char *>(keep(text));
    if (!have || !text)
      return false;
    if (attr.kind == OPW_ATTR_ENUM || attr.kind == OPW_ATTR_DTYPE) {
      *name = text;
      return true;
    }
    v->u.s = text;
    v->count = static_cast<uint32_t>(count);
    return true;
  }
  case OPW_ATTR_INTS:
  case OPW_ATTR_FLOATS:
  case OPW_ATTR_BOOLS:
  case OPW_ATTR_STRINGS:
    return readList(attr, api, source, ctx, v);
  default:
    return false;
  }
}

opw_status_t Attributes::read(const opw_op_t *op, const Api &api, const Source &source, const void *ctx,
                              opw_error_t *error) {
  list = static_cast<opw_attr_value_t *>(keep(calloc(op->attr_count + 1, sizeof *list)));
  if (!list)
    return runtime::failOp(error, OPW_E_MEMORY, op, "no memory for %u attributes", op->attr_count);
  for (uint32_t i = 0; i < op->attr_count; ++i) {
    const opw_attr_t &attr = *op->attrs[i];
    if (attr.kind == OPW_ATTR_STRINGS && &source == &kKernelAttributes && !api.has(25))
      return runtime::failOp(error, OPW_E_UNSUPPORTED, op,
                             "attribute %s is a list of strings, which ONNX Runtime gives to custom ops from 1.25 on",
                             attr.name);
    const char *name = nullptr;
    if (readOne(attr, api, source, ctx, &list[i], &name)) {
      if (opw_status_t s = resolve(op, attr, name, &list[i], error))
        return s;
      continue;
    }
    list[i] = {};
    if (const char *found = kindThere(source, ctx, api, attr.name))
      return runtime::failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found %s, expected %s", attr.name, found,
                             expectedKind(attr.kind));
  }
  return OPW_OK;
}

} // namespace opw::ort
