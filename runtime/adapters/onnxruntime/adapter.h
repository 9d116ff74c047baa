// What the files of the ONNX Runtime face share.
#pragma once

#include "adapters/onnxruntime/ort_abi.h"
#include "core/frame.h"

namespace opw::ort {

/// One operator as ONNX Runtime sees it. Never freed: domains and sessions point to it.
struct Operator : CustomOp {
  const opw_op_t *op;
  Api api;
  int firstVersion, lastVersion;
};

inline const Operator &of(const CustomOp *op) { return *static_cast<const Operator *>(op); }

/// Element types: ONNX Runtime's number and ours. kUndefined and OPW_NONE where there is no counterpart.
int elementType(opw_dtype_t dtype);
opw_dtype_t dtypeOf(int elementType);

/// The type of an input or output when all combinations agree, else kUndefined (any type).
int commonType(const opw_op_t *op, const opw_io_t &io);

/// A status with our text.
Status *errorOf(const Api &api, opw_status_t status, const char *text);

/// Attributes of a node, resolved: values in declared order and the memory that they point to.
class Attributes {
public:
  Attributes() = default;
  Attributes(const Attributes &) = delete;
  Attributes &operator=(const Attributes &) = delete;
  ~Attributes();

  /// Where attributes come from. Each function returns false when the node has none of that name and kind.
  struct Source {
    bool (*integer)(const void *ctx, const Api &, const char *name, int64_t *value);
    bool (*number)(const void *ctx, const Api &, const char *name, float *value);
    /// Lists and strings: a malloc'ed array in *data, its number of elements in *count.
    bool (*text)(const void *ctx, const Api &, const char *name, char **data, size_t *count);
    bool (*integers)(const void *ctx, const Api &, const char *name, int64_t **data, size_t *count);
    bool (*numbers)(const void *ctx, const Api &, const char *name, float **data, size_t *count);
    bool (*texts)(const void *ctx, const Api &, const char *name, char ***data, size_t *count);
  };

  /// Reads all attributes of the op; what a node leaves out keeps kind NONE. On failure writes a text.
  opw_status_t read(const opw_op_t *op, const Api &api, const Source &source, const void *ctx, opw_error_t *error);

  const opw_attr_value_t *values() const { return list; }

private:
  opw_attr_value_t list[runtime::kMaxAttrs] = {};
  void *blocks[2 * runtime::kMaxAttrs] = {};
  uint32_t blockCount = 0;

  void *keep(void *memory);
  bool readOne(const opw_attr_t &attr, const Api &api, const Source &source, const void *ctx, opw_attr_value_t *value);
};

extern const Attributes::Source kKernelAttributes; // ctx: KernelInfo
extern const Attributes::Source kShapeAttributes;  // ctx: ShapeInferContext

/// Fills every member of the struct but op, api and versions.
void fillCallbacks(Operator &op);

// The callbacks of the two larger parts.
Status *createKernel(const CustomOp *, Slots, const KernelInfo *, void **kernel);
Status *computeKernel(void *kernel, KernelContext *);
void destroyKernel(void *kernel);
Status *inferShapes(const CustomOp *, ShapeInferContext *);

} // namespace opw::ort
