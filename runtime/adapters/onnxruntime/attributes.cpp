#include "adapters/onnxruntime/adapter.h"

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
  return kind;
}

const char *expectedKind(uint32_t kind) {
  static const char *const kNames[] = {"nothing", "an int", "a float", "an int",   "a string", "a string", "ints",
                                       "floats",  "ints",   "strings", "a tensor", "a string", "a string"};
  return kind < sizeof kNames / sizeof *kNames ? kNames[kind] : "unknown";
}

} // namespace

const Attributes::Source kKernelAttributes = {kernelInteger,  kernelNumber,  kernelText,
                                              kernelIntegers, kernelNumbers, kernelTexts};
const Attributes::Source kShapeAttributes = {shapeInteger,  shapeNumber,  shapeText,
                                             shapeIntegers, shapeNumbers, shapeTexts};

Attributes::~Attributes() {
  for (uint32_t i = 0; i < blockCount; ++i)
    free(blocks[i]);
}

/// Frees it at the end; also what a failed read left.
void *Attributes::keep(void *memory) {
  if (memory && blockCount < sizeof blocks / sizeof *blocks)
    blocks[blockCount++] = memory;
  return memory;
}

bool Attributes::readOne(const opw_attr_t &attr, const Api &api, const Source &source, const void *ctx,
                         opw_attr_value_t *v) {
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
  case OPW_ATTR_STRING:
  case OPW_ATTR_ENUM:
  case OPW_ATTR_DTYPE: {
    char *text = nullptr;
    bool have = source.text(ctx, api, attr.name, &text, &count);
    keep(text);
    if (!have)
      return false;
    if (attr.kind == OPW_ATTR_STRING) {
      v->u.s = text;
      v->count = static_cast<uint32_t>(count);
    } else if (attr.kind == OPW_ATTR_DTYPE) {
      v->u.i = runtime::dtypeByName(text, strlen(text));
    } else {
      v->u.i = -1;
      for (uint32_t c = 0; c < attr.choice_count; ++c)
        if (strcmp(attr.choices[c], text) == 0)
          v->u.i = c;
    }
    return true;
  }
  case OPW_ATTR_INTS:
  case OPW_ATTR_BOOLS: {
    int64_t *data = nullptr;
    bool have = source.integers(ctx, api, attr.name, &data, &count);
    keep(data);
    if (!have)
      return false;
    v->count = static_cast<uint32_t>(count);
    if (attr.kind == OPW_ATTR_INTS) {
      v->u.ints = data;
      return true;
    }
    auto *bytes = static_cast<uint8_t *>(keep(calloc(1, count + 1)));
    for (size_t i = 0; bytes && i < count; ++i)
      bytes[i] = data[i] != 0;
    v->u.bools = bytes;
    return bytes != nullptr;
  }
  case OPW_ATTR_FLOATS: {
    float *data = nullptr;
    bool have = source.numbers(ctx, api, attr.name, &data, &count);
    keep(data);
    if (!have)
      return false;
    auto *wide = static_cast<double *>(keep(calloc(count + 1, sizeof(double))));
    for (size_t i = 0; wide && i < count; ++i)
      wide[i] = static_cast<double>(data[i]);
    v->u.floats = wide;
    v->count = static_cast<uint32_t>(count);
    return wide != nullptr;
  }
  case OPW_ATTR_STRINGS: {
    char **data = nullptr;
    bool have = source.texts(ctx, api, attr.name, &data, &count);
    keep(data);
    for (size_t i = 0; data && i < count; ++i)
      keep(data[i]);
    v->u.strings = data;
    v->count = static_cast<uint32_t>(count);
    return have;
  }
  default:
    return false;
  }
}

opw_status_t Attributes::read(const opw_op_t *op, const Api &api, const Source &source, const void *ctx,
                              opw_error_t *error) {
  for (uint32_t i = 0; i < op->attr_count; ++i) {
    const opw_attr_t &attr = *op->attrs[i];
    if (readOne(attr, api, source, ctx, &list[i])) {
      if (attr.kind != OPW_ATTR_ENUM || list[i].u.i >= 0)
        continue;
      runtime::Text choices;
      for (uint32_t c = 0; c < attr.choice_count; ++c)
        choices.add("%s'%s'", c ? ", " : "", attr.choices[c]);
      return runtime::failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found '%s', expected one of %s", attr.name,
                             static_cast<const char *>(blocks[blockCount - 1]), choices.str());
    }
    list[i] = {};
    if (const char *found = kindThere(source, ctx, api, attr.name))
      return runtime::failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found %s, expected %s", attr.name, found,
                             expectedKind(attr.kind));
  }
  return OPW_OK;
}

} // namespace opw::ort
