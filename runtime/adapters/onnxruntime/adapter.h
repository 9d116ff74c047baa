// What the files of the ONNX Runtime face share.
#pragma once

#include "adapters/onnxruntime/ort_abi.h"
#include "core/prepared.h"

#include <atomic>

namespace opw::ort {

/// One operator as ONNX Runtime sees it. Never freed: domains and sessions point to it.
struct Operator : CustomOp {
  const opw_op_t *op;
  Api api;
};

inline const Operator &of(const CustomOp *op) { return *static_cast<const Operator *>(op); }

/// Element types: ONNX Runtime's number and ours. kUndefined and OPW_NONE where there is no counterpart.
int elementType(opw_dtype_t dtype);
opw_dtype_t dtypeOf(int64_t elementType);

/// The type of an input or output when all combinations agree, else kUndefined (any type).
int commonType(const opw_op_t *op, const opw_io_t &io);

/// Whether the host must be told the type of an output, and can only be together with a rank, which follows from the
/// ranks of the inputs. In shapes.cpp; inputs that are left out are null.
bool needsRank(const opw_op_t *op, const opw_tensor_t *const *in, size_t inputs, const opw_io_t &io);

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
    /// A tensor that the caller releases.
    bool (*tensor)(const void *ctx, const Api &, const char *name, Value **value);
  };

  /// Reads all attributes of the op, once; what a node leaves out keeps kind NONE. On failure writes a text.
  opw_status_t read(const opw_op_t *op, const Api &api, const Source &source, const void *ctx, opw_error_t *error);

  /// In declared order; null before they are read.
  const opw_attr_value_t *values() const { return list; }

private:
  struct Block {
    void *memory;
    Block *next;
  };
  opw_attr_value_t *list = nullptr;
  Block *blocks = nullptr; // the last one first

  void *keep(void *memory);
  bool readList(const opw_attr_t &attr, const Api &api, const Source &source, const void *ctx, opw_attr_value_t *value);
  bool readOne(const opw_attr_t &attr, const Api &api, const Source &source, const void *ctx, opw_attr_value_t *value,
               const char **name);
};

extern const Attributes::Source kKernelAttributes; // ctx: KernelInfo
extern const Attributes::Source kShapeAttributes;  // ctx: ShapeInferContext

/// Fills every member of the struct but op and api, which are there. `number` is the op's in the tables.
void fillCallbacks(Operator &op, uint32_t number);

constexpr uint32_t kMaxTensors = 64; // inputs, and outputs, of one node

/// A node of a session, which runs from any number of threads. What changes after it is made is what it knows of its
/// calls.
struct Kernel {
  Api api;
  const opw_op_t *op;
  MemoryInfo *memory;               // the CPU's
  uint32_t inputCount, outputCount; // of the node
  Attributes attributes;

  /// What an earlier call with inputs like these was resolved to, or null.
  const runtime::Prepared *find(const opw_tensor_t *const *inputs) const;
  /// Keeps what a call that has run was resolved to, for the first few shapes that can be kept.
  void remember(const runtime::Frame &frame, const runtime::Selection &selection) const;

  static constexpr uint32_t kMostKnown = 4, kMostTries = 64;
  mutable std::atomic<uint32_t> tries{0};                          // calls of which it was tried
  mutable std::atomic<runtime::Prepared *> known[kMostKnown] = {}; // filled from the front, never changed after that
};

/// The view of a tensor, and room for its sizes.
struct View {
  opw_tensor_t tensor;
  int64_t dims[OPW_MAX_RANK];
};

/// One run of a node: the views of its tensors, the call, and what the host gives.
struct Run {
  Run(const Kernel &kernel, KernelContext *context);
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;
  ~Run();

  const Kernel &kernel;
  KernelContext *context;
  Allocator *allocator = nullptr; // of the context, once something needs it
  opw_host_t host;
  opw_call_t call;
  char text[512];
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  const opw_tensor_t *inputPointers[kMaxTensors];
  opw_tensor_t *outputPointers[kMaxTensors]; // null: an optional one that nobody wants
  View inputs[kMaxTensors], outputs[kMaxTensors];

  const opw_io_t &output(size_t i) const { return runtime::outputOf(kernel.op, i); }
  /// Takes a status of the runtime along: null when it is OPW_OK.
  Status *statusOf(opw_status_t status) const;
  /// Memory from the host, for `release`; null when it has none.
  void *allocate(size_t bytes, size_t align);
  void release(void *memory);
  /// Makes output `i` in the host, as large as its view says.
  Status *makeOutput(size_t i);
  /// The same of given sizes; its memory goes to *data, which is not changed where nobody wants the output.
  Status *makeOutput(size_t i, const int64_t *sizes, size_t ndim, void **data);
};

/// Runs an op whose sizes depend on data; inputs are there, outputs not.
Status *runCounted(Run &run);

// The callbacks of the two larger parts.
Status *createKernel(const CustomOp *, Slots, const KernelInfo *, void **kernel);
Status *computeKernel(void *kernel, KernelContext *);
void destroyKernel(void *kernel);
Status *inferShapes(const CustomOp *, ShapeInferContext *);

} // namespace opw::ort
