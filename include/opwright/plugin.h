/* opwright/plugin.h - the contract between a plugin library, the runtime inside it and every host.
 * C11, LP64, little endian. docs/abi.md explains programs, selection and the rules for hosts.
 *
 * Versions. OPW_ABI_MAJOR.MINOR is not the product version. Major 0 may still change; 1.0 freezes it.
 *  - A table (any struct that opens with struct_size) only grows, at its end; a member exists if its
 *    end <= struct_size. Tables are reached by pointer, never as array elements. A new member makes a
 *    new MINOR; zero means "as before it".
 *  - A leaf (every other struct) keeps its size for the whole MAJOR; reserved bytes are zero, checked.
 *  - Enumerators are appended, never renumbered. A reader that meets one it does not know refuses that
 *    op, not the library.
 *  - A reader of minor m takes every library of the same MAJOR; OPW_OP_NEEDS_MINOR marks an op that
 *    older readers must refuse.
 * Ownership. All that opw_library() reaches is constant and lives as long as the process (the library
 *    is never unmapped). Everything in a call belongs to the caller and is read only during it; nothing
 *    is kept. Strings are UTF-8, NUL ended.
 * Threads. Every api function may be called from any thread at any time, also for one op at once. None
 *    blocks on a lock that another call holds while it runs a kernel. Nothing throws, aborts, exits or
 *    prints; a host callback may unwind through us. */
#ifndef OPWRIGHT_PLUGIN_H
#define OPWRIGHT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OPW_ABI_MAJOR 0u
#define OPW_ABI_MINOR 2u
#define OPW_MAX_RANK 16        /* TensorRT stops at 8: its adapter refuses more */
#define OPW_MAX_TENSORS 256    /* inputs + outputs + workspace of one call, variadic ones one by one */
#define OPW_MAX_DEPTH 32       /* operand stack of a program */
#define OPW_MAX_CODE 4096      /* instructions of a program */
#define OPW_MAX_ARGS 256       /* arguments of one kernel */
#define OPW_MAX_VARS 256       /* vars of one op */
#define OPW_MAX_COMBOS 4096    /* combinations of element types of one op */
#define OPW_MAX_CHOICES 524288 /* combinations times tactics of one op */

typedef int32_t opw_status_t;
enum {
  OPW_OK = 0,
  OPW_E_ARGUMENT = 1,    /* arity, null, attribute kind or value, overlap */
  OPW_E_DTYPE = 2,       /* no declared combination of element types fits */
  OPW_E_SHAPE = 3,       /* rank, size, negative or undefined size, upper bound exceeded */
  OPW_E_DEVICE = 4,      /* wrong or mixed devices, CPU below every level, no image for the architecture */
  OPW_E_LAYOUT = 5,      /* strides or alignment that no variant takes */
  OPW_E_OVERFLOW = 6,    /* a program overflowed or divided by zero */
  OPW_E_MEMORY = 7,      /* workspace too small, allocation refused */
  OPW_E_DRIVER = 8,      /* CUDA driver call failed; the text has its name and code */
  OPW_E_ASSERT = 9,      /* device_assert of a kernel */
  OPW_E_HOST = 10,       /* a host service failed */
  OPW_E_ABI = 11,        /* version or struct_size */
  OPW_E_CORRUPT = 12,    /* a table failed validation */
  OPW_E_UNSUPPORTED = 13 /* known, not possible here: the text says why */
};

/* Given by the caller, may be null. The text is always NUL ended and cut at a character. */
typedef struct opw_error_t {
  uint32_t struct_size;
  opw_status_t code;
  char *text;
  size_t text_size;
} opw_error_t;

typedef uint8_t opw_dtype_t;
enum {
  OPW_NONE = 0,
  OPW_BOOL = 1,
  OPW_I8 = 2,
  OPW_I16 = 3,
  OPW_I32 = 4,
  OPW_I64 = 5,
  OPW_U8 = 6, /* 4-bit types travel as U8 */
  OPW_U16 = 7,
  OPW_U32 = 8,
  OPW_U64 = 9,
  OPW_F16 = 10,
  OPW_BF16 = 11,
  OPW_F32 = 12,
  OPW_F64 = 13,
  OPW_F8E4M3FN = 14,
  OPW_F8E5M2 = 15,
  OPW_F8E4M3FNUZ = 16,
  OPW_F8E5M2FNUZ = 17,
  OPW_F8E4M3B11FNUZ = 18,
  OPW_F8E8M0 = 19
};

/* ---- tensors ---------------------------------------------------------------------------------- */

enum { OPW_DEVICE_CPU = 1, OPW_DEVICE_CUDA = 2, OPW_DEVICE_CUDA_PINNED = 3, OPW_DEVICE_CUDA_MANAGED = 13 };

/* Layout of DLTensor (DLPack 1): a DLTensor* is an opw_tensor_t*. Strides in elements, null = row-major. */
typedef struct opw_tensor_t {
  void *data; /* may be null for infer and for empty tensors */
  int32_t device_type, device_id;
  int32_t ndim;
  uint8_t dl_code, dl_bits;
  uint16_t dl_lanes;
  int64_t *shape; /* -1 = unknown, only in infer */
  int64_t *strides;
  uint64_t byte_offset;
} opw_tensor_t;

/* ---- attributes ------------------------------------------------------------------------------- */

enum {
  OPW_ATTR_NONE = 0,
  OPW_ATTR_INT = 1,
  OPW_ATTR_FLOAT = 2,
  OPW_ATTR_BOOL = 3,
  OPW_ATTR_STRING = 4,
  OPW_ATTR_BYTES = 5,
  OPW_ATTR_INTS = 6,
  OPW_ATTR_FLOATS = 7,
  OPW_ATTR_BOOLS = 8,
  OPW_ATTR_STRINGS = 9,
  OPW_ATTR_TENSOR = 10,
  OPW_ATTR_ENUM = 11, /* i = index into choices; hosts pass the string */
  OPW_ATTR_DTYPE = 12,
  OPW_ATTR_KINDS = 13 /* how many there are */
};

typedef struct opw_attr_value_t { /* leaf, 16 bytes */
  uint32_t kind;
  uint32_t count; /* elements of a list, bytes of a string without NUL */
  union {
    int64_t i;
    double f;
    const char *s;
    const void *bytes;
    const int64_t *ints;
    const double *floats;
    const uint8_t *bools;
    const char *const *strings;
    const opw_tensor_t *tensor;
  } u;
} opw_attr_value_t;

typedef struct opw_attr_t {
  uint32_t struct_size;
  uint32_t kind;
  const char *name, *doc;
  opw_attr_value_t fallback; /* kind NONE = required */
  const char *const *choices;
  uint32_t choice_count;
  uint32_t list_length; /* 0 = any */
} opw_attr_t;

/* ---- programs: postfix over 64-bit slots that are int64 (I) or double (F) ----------------------- */

enum {
  /* leaves               b          imm                      result */
  OPW_X_INT = 1,       /* -          value                    I */
  OPW_X_POOL = 2,      /* -          index into pool_i        I */
  OPW_X_DIM = 3,       /* tensor     axis, < 0 from the end   I */
  OPW_X_DIM_AT = 4,    /* tensor     pops the axis            I */
  OPW_X_RANK = 5,      /* tensor                              I */
  OPW_X_NUMEL = 6,     /* tensor                              I */
  OPW_X_STRIDE = 7,    /* tensor     axis                     I */
  OPW_X_PRESENT = 8,   /* tensor                              I, 0 or 1 */
  OPW_X_COUNT = 9,     /* variadic: number of its tensors     I */
  OPW_X_SUMDIM = 10,   /* variadic   axis: sum of that size   I */
  OPW_X_ATTR = 11,     /* attribute (int, bool, enum, dtype)  I */
  OPW_X_ATTR_AT = 12,  /* ints, bools, bytes; pops the index  I */
  OPW_X_ATTR_LEN = 13, /* list attribute or bytes             I */
  OPW_X_VALUE = 14,    /* HOST input element                  I or F by its element type */
  OPW_X_VAR = 15,      /* index into vars, lower ones only    as the var */
  OPW_X_SIZE = 16,     /* data-dependent size                 I */
  OPW_X_ITEMSIZE = 17, /* tensor: bytes of an element         I */
  OPW_X_FPOOL = 18,    /* -          index into pool_f        F */
  OPW_X_FATTR = 19,    /* float attribute                     F */
  OPW_X_FATTR_AT = 20, /* float list, pops the index          F */
  /* I I -> I; b = 1: the right operand is imm and is not on the stack */
  OPW_X_ADD = 32,
  OPW_X_SUB = 33,
  OPW_X_MUL = 34,
  OPW_X_FDIV = 35, /* floor division, as in Python */
  OPW_X_CDIV = 36, /* -((-a) // b) */
  OPW_X_MOD = 37,  /* floor modulo, as in Python */
  OPW_X_MIN = 38,
  OPW_X_MAX = 39,
  OPW_X_EQ = 40,
  OPW_X_NE = 41,
  OPW_X_LT = 42,
  OPW_X_LE = 43,
  OPW_X_AND = 44,
  OPW_X_OR = 45,
  /* I -> I */
  OPW_X_NOT = 48,
  OPW_X_NEG = 49,
  OPW_X_ABS = 50,
  OPW_X_NPOW2 = 51, /* least power of two >= max(a, 1) */
  /* c:I a b -> a if c != 0 else b; a and b of one kind */
  OPW_X_SELECT = 56,
  /* F F -> F */
  OPW_X_FADD = 64,
  OPW_X_FSUB = 65,
  OPW_X_FMUL = 66,
  OPW_X_FDIVF = 67,
  OPW_X_FMIN = 68,
  OPW_X_FMAX = 69,
  OPW_X_FNEG = 70,
  OPW_X_FSQRT = 71,
  OPW_X_FLT = 72,   /* -> I */
  OPW_X_FEQ = 73,   /* -> I */
  OPW_X_I2F = 74,   /* I -> F */
  OPW_X_FLOOR = 75, /* F -> I */
  OPW_X_CEIL = 76,  /* F -> I */
  OPW_X_ROUND = 77  /* F -> I, ties to even */
};

typedef struct opw_insn_t { /* leaf, 8 bytes */
  uint8_t op;
  uint8_t element; /* of a variadic input, where the operand is one: 0 is its first tensor */
  uint16_t b;
  int32_t imm;
} opw_insn_t;

typedef struct opw_program_t { /* leaf, 16 bytes; count 0 = absent */
  const opw_insn_t *code;
  uint32_t count;
  uint8_t is_float; /* kind of the result */
  uint8_t depth;    /* deepest stack, checked */
  uint16_t reserved;
} opw_program_t;

/* ---- declared tensors. Tensor numbers: inputs, outputs, then the workspace of the plan ----------- */

enum {
  OPW_IO_OPTIONAL = 1u,
  OPW_IO_VARIADIC = 2u, /* last one only */
  OPW_IO_HOST = 4u,     /* host memory, 0-D or 1-D, read by programs */
  OPW_IO_STRIDED = 8u,  /* any strides; else row-major */
  OPW_IO_SIZE = 16u,    /* int64 0-D output, holds a data-dependent size */
  OPW_IO_COMPACT = 32u, /* the kernel lays this output out by the real sizes, not by the bounds */
  OPW_IO_INPLACE = 64u  /* the op's meaning is to change the aliased input; else aliasing is only allowed */
};

enum {
  OPW_SEG_DIM = 1,   /* one size, by a program */
  OPW_SEG_SLICE = 2, /* sizes [from, to) of a tensor */
  OPW_SEG_ATTR = 3,  /* int list */
  OPW_SEG_VALUES = 4 /* 1-D HOST input */
};

typedef struct opw_seg_t { /* leaf, 32 bytes; a shape is a row of segments, so ranks may vary */
  uint32_t kind;
  uint32_t index;   /* tensor or attribute */
  int32_t from, to; /* < 0 from the end; to INT32_MAX = end */
  opw_program_t dim;
} opw_seg_t;

typedef struct opw_io_t {
  uint32_t struct_size, flags;
  const char *name, *doc;
  uint16_t typevar; /* element type = combos[combo][typevar] */
  int16_t alias;    /* outputs: input that it may share memory with, else -1 */
  uint8_t rank_min, rank_max;
  uint16_t align; /* bytes that the data pointer must be a multiple of, 0 = element size */
  uint32_t variadic_min;
  uint32_t seg_count; /* outputs */
  const opw_seg_t *segs;
  uint64_t formats; /* bit n = TensorRT TensorFormat n; 0 or 1 = linear only */
} opw_io_t;

typedef struct opw_typevar_t {
  uint32_t struct_size;
  uint32_t allowed; /* bit n = dtype n */
  const char *name;
} opw_typevar_t;

typedef struct opw_size_t { /* a data-dependent size */
  uint32_t struct_size;
  uint32_t output; /* the OPW_IO_SIZE output that receives it */
  const char *name;
  opw_program_t upper, typical; /* over inputs and attributes only */
} opw_size_t;

/* ---- what runs ---------------------------------------------------------------------------------- */

enum {
  OPW_ARG_POINTER = 1,
  OPW_ARG_STRIDE = 2,
  OPW_ARG_PROGRAM = 3,
  OPW_ARG_ATTR = 4,
  OPW_ARG_CONSTANT = 5, /* baked tensor */
  OPW_ARG_DESCRIPTOR = 6,
  OPW_ARG_NULL = 7 /* absent optional */
};

typedef struct opw_descriptor_t { /* tensor descriptor made by the host */
  uint32_t struct_size, tensor;
  uint32_t rank, padding;               /* padding: 0 zero, 1 NaN */
  const opw_program_t *shape, *strides; /* null = those of the tensor */
  const int64_t *block;
} opw_descriptor_t;

typedef struct opw_arg_t { /* leaf, 32 bytes; one per kernel argument in order, constexprs left out */
  uint8_t kind;
  uint8_t axis;
  uint16_t tensor;
  uint32_t index; /* attribute or constant; of a pointer or stride, the element of a variadic input */
  opw_program_t program;
  const opw_descriptor_t *descriptor;
} opw_arg_t;

enum {
  OPW_GUARD_DIVISIBLE = 1, /* integer or address */
  OPW_GUARD_EQUAL = 2,
  OPW_GUARD_AT_LEAST = 3,
  OPW_GUARD_AT_MOST = 4,
  OPW_GUARD_NULL = 5,
  OPW_GUARD_SET = 6
};

typedef struct opw_guard_t { /* leaf, 8 bytes, about an argument */
  uint8_t kind, reserved;
  uint16_t arg;
  int32_t value;
} opw_guard_t;

typedef struct opw_variant_t { /* leaf, 40 bytes; tried in order; a guarded last one may refuse the call */
  const opw_guard_t *guards;
  uint32_t guard_count;
  uint32_t kernel;
  opw_program_t when;
  const char *reason; /* text of the refusal when this was the last one and it did not fit; may be null */
} opw_variant_t;

enum { OPW_LAUNCH_KERNEL = 1, OPW_LAUNCH_FILL = 2 /* whole tensor with a byte */ };

typedef struct opw_launch_t {
  uint32_t struct_size, kind;
  uint32_t phase; /* 0: runs before data-dependent sizes are known, 1: after */
  uint32_t fill_tensor, fill_byte;
  uint32_t arg_count;
  const opw_arg_t *args;
  const opw_variant_t *variants;
  uint32_t variant_count, reserved;
  opw_program_t when;    /* absent or != 0: run */
  opw_program_t grid[3]; /* absent = 1; any size 0: the launch is skipped */
} opw_launch_t;

typedef struct opw_workspace_t {
  uint32_t struct_size, align;
  opw_dtype_t dtype;
  uint8_t reserved[7];
  opw_program_t elements;
  opw_program_t upper; /* absent = by bounds */
} opw_workspace_t;

typedef struct opw_plan_t { /* how one tactic runs one combination on one kind of device */
  uint32_t struct_size, launch_count;
  const opw_launch_t *const *launches;
  const opw_workspace_t *const *workspace;
  uint32_t workspace_count, reserved;
  opw_program_t valid; /* as an op's: where it does not hold, this plan does not take the call */
  const char *valid_text;
} opw_plan_t;

enum {
  OPW_PARAM_POINTER = 1,
  OPW_PARAM_SCALAR = 2,
  OPW_PARAM_DROPPED = 3, /* specialised away */
  OPW_PARAM_DESC_TMA = 4,
  OPW_PARAM_DESC_PLAIN = 5
};

typedef struct opw_param_t { /* leaf, 8 bytes, one per argument of the launch */
  uint8_t kind;
  opw_dtype_t dtype; /* of a scalar; of what a pointer points to, or OPW_NONE */
  uint8_t rank, desc;
  uint32_t offset; /* CPU: index of the 8-byte slot; CUDA: byte offset in the parameter block */
} opw_param_t;

typedef struct opw_tma_t { /* leaf, 24 bytes */
  uint8_t swizzle, elem_size, elem_type, fp4_padded;
  uint32_t block[5];
} opw_tma_t;

/* ---- CPU kernels -------------------------------------------------------------------------------- */

enum { OPW_SITE_HEX = 1u, OPW_SITE_POINTER = 2u };

typedef struct opw_cpu_site_t { /* a print or assertion in a kernel; constant data of its object */
  uint32_t struct_size, line;   /* line 0: not known */
  const char *file, *kernel;
  const char *text;       /* prefix of a print, message of an assertion */
  const int64_t *extents; /* sizes of the tile that is printed */
  uint32_t rank, flags;
  uint32_t dtype; /* of what is printed; OPW_NONE = the text alone */
  uint32_t operand, operand_count, reserved;
} opw_cpu_site_t;

typedef struct opw_cpu_launch_t { /* one per launch, shared by its threads */
  uint32_t struct_size;
  int32_t failed; /* atomic; set non-zero by the first failing program */
  uint64_t epoch; /* non-zero, unique per process and submission; part of every memo key */
  int64_t ticket; /* atomic, next program of an order-sensitive kernel */
  void *ctx;
  void (*fail)(void *ctx, const opw_cpu_site_t *site, int64_t program);
  /* One element: index has site->rank entries; bits are an integer extended to 64 bit, or a double. */
  void (*print)(void *ctx, const opw_cpu_site_t *site, int64_t program, const int64_t *index, uint64_t bits);
  /* Called now and then by a program that waits for memory to change: a program that it waits for may not have
   * started. Returns soon. */
  void (*stall)(void *ctx, int64_t program);
} opw_cpu_launch_t;

typedef struct opw_cpu_args_t {
  uint32_t struct_size, flags;
  uint32_t grid[3];
  uint32_t slot_count;
  opw_cpu_launch_t *launch;
  const uint64_t *slots; /* one per kernel argument in order: pointers, integers extended to 64 bit, */
} opw_cpu_args_t;        /* floats as bits in the low part */

typedef struct opw_cpu_scratch_t {
  void *memory; /* 64-byte aligned */
  uint64_t bytes;
  uint32_t worker, reserved;
} opw_cpu_scratch_t;

/* Runs the programs at the places lo <= p < hi of the kernel's order; there is one place in [0, number of programs) for
 * each. Of an ordered kernel it is p = x + grid[0] * (y + grid[1] * z). Reports name a program by that number, whatever
 * the order. Returns 0, or non-zero when a program of the range failed. */
typedef int32_t (*opw_cpu_entry_t)(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *scratch);

enum {
  OPW_LEVEL_X86_64_V3 = 3,
  OPW_LEVEL_X86_64_V4 = 4,
  OPW_LEVEL_X86_64_V4_BF16 = 5,
  OPW_LEVEL_X86_64_V4_AMX = 6,
  OPW_LEVEL_AARCH64 = 32,
  OPW_LEVEL_AARCH64_SVE = 33
};

enum { OPW_CPU_ORDERED = 1u /* programs start in ascending order, one by one, on several threads */ };

typedef struct opw_cpu_image_t {
  uint32_t struct_size, level;
  opw_cpu_entry_t entry;
  const opw_param_t *params;
  uint32_t param_count, flags;
  uint64_t scratch_bytes; /* per thread */
  int64_t grain;          /* programs per chunk that pay for a hand-over, >= 1 */
} opw_cpu_image_t;

/* ---- CUDA kernels ------------------------------------------------------------------------------- */

enum { OPW_CUDA_CUBIN = 1, OPW_CUDA_PTX = 2 };
enum { OPW_CODEC_RAW = 0, OPW_CODEC_LZ4 = 1 };
enum { OPW_CUDA_PDL = 1u, OPW_CUDA_COOPERATIVE = 2u, OPW_CUDA_NONPORTABLE_CLUSTER = 4u };

typedef struct opw_cuda_image_t {
  uint32_t struct_size;
  uint16_t arch;  /* 80, 90, 100 */
  uint8_t suffix; /* 0, 'a' exact, 'f' family */
  uint8_t format;
  const void *data;
  uint64_t stored_bytes, raw_bytes;
  const char *symbol;
  const opw_param_t *params;
  const opw_tma_t *tma;
  uint32_t param_count, tma_count, block_bytes;
  uint32_t hidden_params; /* the trailing scratch pointers, 2 for Triton >= 3.5 */
  uint32_t codec, flags, num_warps, num_ctas, shared_bytes, tmem_bytes;
  uint32_t global_scratch_bytes, global_scratch_align;   /* per program */
  uint32_t profile_scratch_bytes, profile_scratch_align; /* per program */
  uint32_t registers, spill_bytes, ptx_version, reserved;
} opw_cuda_image_t;

typedef struct opw_kernel_t {
  uint32_t struct_size, line;
  const char *name, *file, *signature;
  uint8_t hash[32]; /* of everything that the code depends on */
  const opw_cpu_image_t *const *cpu;
  const opw_cuda_image_t *const *cuda; /* newest first, PTX last */
  uint32_t cpu_count, cuda_count;
} opw_kernel_t;

/* ---- ops ---------------------------------------------------------------------------------------- */

typedef struct opw_tactic_t {
  uint32_t struct_size;
  int32_t id; /* > 0 */
  const char *text;
} opw_tactic_t;

typedef struct opw_tuned_t { /* leaf, 16 bytes; sorted by device, combo */
  uint16_t device;           /* into opw_tables_t.devices */
  uint16_t combo, tactic, reserved;
  uint16_t key[4]; /* log2 of the tune keys in 1/256 */
} opw_tuned_t;

enum { OPW_OP_NEEDS_MINOR = 1u, OPW_OP_DATA_DEPENDENT = 2u, OPW_OP_MUTATES = 4u, OPW_OP_NONDETERMINISTIC = 8u };

#define OPW_NO_PLAN 0xffffu

typedef struct opw_op_t {
  uint32_t struct_size, flags;
  uint32_t min_minor; /* with OPW_OP_NEEDS_MINOR */
  int32_t version;
  const char *ns, *name, *doc;
  const opw_typevar_t *const *typevars;
  const opw_io_t *const *inputs, *const *outputs;
  const opw_attr_t *const *attrs;
  const opw_size_t *const *sizes;
  const opw_program_t *vars;
  const uint8_t *combos; /* combo_count rows of typevar_count dtypes */
  const opw_tactic_t *const *tactics;
  const opw_plan_t *const *plans;
  const uint16_t *plan_index; /* [combo][0 CPU, 1 CUDA][tactic] -> plan or OPW_NO_PLAN */
  const opw_tuned_t *tuned;
  const int64_t *pool_i;
  const double *pool_f;
  uint32_t typevar_count, input_count, output_count, attr_count;
  uint32_t size_count, var_count, combo_count, tactic_count;
  uint32_t plan_count, tuned_count, pool_i_count, pool_f_count;
  opw_program_t tune_keys[4], flops, bytes;
  opw_program_t valid; /* absent or > 0, else OPW_E_ARGUMENT: 0 with valid_text, -2 - k with its line k */
  const char *valid_text;
  const char *extra_json; /* for tools: gradients, sharding, source; the runtime never reads it */
} opw_op_t;

typedef struct opw_constant_t {
  uint32_t struct_size, align;
  opw_tensor_t value;
} opw_constant_t;

typedef struct opw_tables_t { /* written by the packager (or by hand) */
  uint32_t struct_size;
  uint32_t abi_minor; /* minor of the header that it was written with */
  const char *name;
  const char *producer; /* one line of tool versions, no time, no path */
  uint8_t hash[32];
  const opw_op_t *const *ops;
  const opw_kernel_t *const *kernels;
  const opw_constant_t *const *constants;
  const char *const *devices; /* "cuda:sm_90", "cpu:x86-64-v4", "cpu:x86-64-v4:znver5" */
  uint32_t op_count, kernel_count, constant_count, device_count;
  void *state; /* zero-initialised writable memory for the runtime, 64-byte aligned, OPW_STATE_BYTES at least */
  uint64_t state_bytes;
} opw_tables_t;

#define OPW_STATE_BYTES(ops, cuda_images) (4096u + 1024u * (ops) + 512u * (cuda_images))

/* ---- calls -------------------------------------------------------------------------------------- */

typedef opw_status_t (*opw_body_t)(void *arg, int64_t begin, int64_t end);

typedef struct opw_host_t { /* any function may be null: the runtime's own service is used */
  uint32_t struct_size, reserved;
  void *ctx;
  /* calls body on disjoint ranges that cover [0, count), the calling thread included; returns after all;
   * first failure wins */
  opw_status_t (*parallel_for)(void *ctx, int64_t count, int64_t grain, opw_body_t body, void *arg);
  int32_t (*threads)(void *ctx);
  void *(*allocate)(void *ctx, int32_t device_type, int32_t device_id, void *stream, size_t bytes, size_t align);
  void (*release)(void *ctx, int32_t device_type, int32_t device_id, void *stream, void *p);
  void (*log)(void *ctx, int32_t level, const char *text); /* 1 error 2 warning 3 info 4 debug; any thread,
                                                              must not call back */
} opw_host_t;

typedef struct opw_call_t {
  uint32_t struct_size, flags;
  const opw_tensor_t *const *inputs; /* null entry = absent optional; a variadic tail is spelled out */
  opw_tensor_t *const *outputs;      /* infer writes ndim, type, shape (room for OPW_MAX_RANK); run only reads.
                                        infer with phases = 2 also reads the SIZE outputs (int64, 0-D, with data) */
  const opw_attr_value_t *attrs;     /* in declared order; kind NONE = default; null = all default */
  uint32_t input_count, output_count, attr_count;
  int32_t device_type, device_id;
  int32_t tactic;  /* 0 = choose */
  void *stream;    /* CUstream; null = legacy default stream */
  void *workspace; /* null: taken from host->allocate */
  size_t workspace_bytes;
  const opw_host_t *host;
  uint32_t phases; /* 0 = all; 1 = only phase 0; 2 = only phase 1 */
  uint32_t reserved;
} opw_call_t;

typedef struct opw_choice_t {
  uint32_t struct_size, combo;
  int32_t tactic;
  uint32_t plan;
  const char *device;
  uint32_t tuned_entry, reserved;
} opw_choice_t;

typedef struct opw_api_t {
  uint32_t struct_size, reserved;
  const opw_op_t *(*find)(const char *ns, const char *name, int32_t version /* 0 = newest */);
  /* validates the op's tables; run does it once by itself */
  opw_status_t (*check)(const opw_op_t *op, opw_error_t *error);
  opw_status_t (*infer)(const opw_op_t *op, const opw_call_t *call, opw_error_t *error);
  opw_status_t (*workspace)(const opw_op_t *op, const opw_call_t *call, size_t *bytes, opw_error_t *error);
  opw_status_t (*run)(const opw_op_t *op, const opw_call_t *call, opw_error_t *error);
  opw_status_t (*prepare)(const opw_op_t *op /* null = all */, int32_t device_type, int32_t device_id,
                          opw_error_t *error);
  opw_status_t (*choose)(const opw_op_t *op, const opw_call_t *call, opw_choice_t *choice, opw_error_t *error);
  /* value: int64_t or double by the program's kind */
  opw_status_t (*eval)(const opw_op_t *op, const opw_program_t *program, const opw_call_t *call, void *value,
                       opw_error_t *error);
  /* sound bounds over all shapes between two calls that differ in sizes only; null program = workspace bytes,
   * all tactics and images */
  opw_status_t (*bounds)(const opw_op_t *op, const opw_program_t *program, const opw_call_t *low,
                         const opw_call_t *high, int64_t range[2], opw_error_t *error);
  opw_status_t (*force)(const opw_op_t *op, int32_t tactic /* 0 = stop forcing */, opw_error_t *error);
} opw_api_t;

typedef struct opw_library_t {
  uint32_t abi_major, abi_minor, struct_size, reserved;
  const opw_tables_t *tables;
  const opw_api_t *api;
} opw_library_t;

#if defined(__GNUC__)
#define OPW_EXPORT __attribute__((visibility("default")))
#else
#define OPW_EXPORT
#endif

/* The only function that a host looks up: dlsym(handle, "opw_library"). Null when the major is not ours.
 * Cheap, no side effect. */
OPW_EXPORT const opw_library_t *opw_library(uint32_t abi_major);
typedef const opw_library_t *(*opw_library_fn)(uint32_t abi_major);

#ifdef __cplusplus
}
#endif
#endif
