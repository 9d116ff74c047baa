/* A plugin written by hand, with no compiler of ours: sample::add(x, y, alpha = 1) -> x + alpha * y for f32 and f64.
 * Link it with libopwright_runtime.a (see build.sh); a built plugin differs only in who wrote the tables. */
#include <opwright/plugin.h>
#include <string.h>

#define COUNT(a) (uint32_t)(sizeof(a) / sizeof((a)[0]))

/* ---- the kernels: one program handles BLOCK elements; slots are x, y, out, n, alpha */
enum { BLOCK = 1024 };
#define KERNEL(NAME, T)                                                                                                \
  static int32_t NAME(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *scratch) {                \
    const T *x = (const T *)(uintptr_t)args->slots[0], *y = (const T *)(uintptr_t)args->slots[1];                      \
    T *out = (T *)(uintptr_t)args->slots[2];                                                                           \
    int64_t n = (int64_t)args->slots[3], end = hi * BLOCK < n ? hi * BLOCK : n;                                        \
    float alpha;                                                                                                       \
    memcpy(&alpha, &args->slots[4], sizeof alpha);                                                                     \
    (void)scratch;                                                                                                     \
    for (int64_t i = lo * BLOCK; i < end; i++)                                                                         \
      out[i] = x[i] + (T)alpha * y[i];                                                                                 \
    return 0;                                                                                                          \
  }
KERNEL(add_f32, float)
KERNEL(add_f64, double)

static const opw_param_t params[] = {{OPW_PARAM_POINTER, OPW_NONE, 0, 0, 0},
                                     {OPW_PARAM_POINTER, OPW_NONE, 0, 0, 1},
                                     {OPW_PARAM_POINTER, OPW_NONE, 0, 0, 2},
                                     {OPW_PARAM_SCALAR, OPW_I32, 0, 0, 3},
                                     {OPW_PARAM_SCALAR, OPW_F32, 0, 0, 4}};
#define IMAGE(K)                                                                                                       \
  static const opw_cpu_image_t K##_v3 = {sizeof K##_v3, OPW_LEVEL_X86_64_V3, K, params, COUNT(params), 0, 0, 16};      \
  static const opw_cpu_image_t *const K##_images[] = {&K##_v3};                                                        \
  static const opw_kernel_t K##_kernel = {.struct_size = sizeof K##_kernel,                                            \
                                          .line = 12,                                                                  \
                                          .name = #K,                                                                  \
                                          .file = "add_plugin.c",                                                      \
                                          .cpu = K##_images,                                                           \
                                          .cpu_count = 1}
IMAGE(add_f32);
IMAGE(add_f64);
static const opw_kernel_t *const kernels[] = {&add_f32_kernel, &add_f64_kernel};

/* ---- programs: numel(x), and cdiv(numel(x), BLOCK) */
static const opw_insn_t numel_code[] = {{OPW_X_NUMEL, 0, 0, 0}};
static const opw_insn_t grid_code[] = {{OPW_X_NUMEL, 0, 0, 0}, {OPW_X_CDIV, 0, 1, BLOCK}};

/* ---- how a call becomes a launch: one plan per combination of element types */
static const opw_arg_t args[] = {{.kind = OPW_ARG_POINTER, .tensor = 0},
                                 {.kind = OPW_ARG_POINTER, .tensor = 1},
                                 {.kind = OPW_ARG_POINTER, .tensor = 2},
                                 {.kind = OPW_ARG_PROGRAM, .program = {numel_code, COUNT(numel_code), 0, 1, 0}},
                                 {.kind = OPW_ARG_ATTR, .index = 0}};
#define PLAN(P, KERNEL_INDEX)                                                                                          \
  static const opw_variant_t P##_variant = {.kernel = KERNEL_INDEX};                                                   \
  static const opw_launch_t P##_launch = {.struct_size = sizeof P##_launch,                                            \
                                          .kind = OPW_LAUNCH_KERNEL,                                                   \
                                          .args = args,                                                                \
                                          .arg_count = COUNT(args),                                                    \
                                          .variants = &P##_variant,                                                    \
                                          .variant_count = 1,                                                          \
                                          .grid = {{grid_code, COUNT(grid_code), 0, 1, 0}}};                           \
  static const opw_launch_t *const P##_launches[] = {&P##_launch};                                                     \
  static const opw_plan_t P = {.struct_size = sizeof P, .launch_count = 1, .launches = P##_launches}
PLAN(plan_f32, 0);
PLAN(plan_f64, 1);
static const opw_plan_t *const plans[] = {&plan_f32, &plan_f64};
static const uint16_t plan_index[] = {0, OPW_NO_PLAN, 1, OPW_NO_PLAN}; /* [combo][CPU, CUDA][tactic] */

/* ---- the op */
static const opw_typevar_t T = {sizeof T, 1u << OPW_F32 | 1u << OPW_F64, "T"};
static const opw_typevar_t *const typevars[] = {&T};
static const opw_seg_t like_x[] = {{.kind = OPW_SEG_SLICE, .index = 0, .from = 0, .to = INT32_MAX}};
static const opw_io_t x = {.struct_size = sizeof x, .name = "x", .alias = -1, .rank_max = OPW_MAX_RANK};
static const opw_io_t y = {.struct_size = sizeof y, .name = "y", .alias = -1, .rank_max = OPW_MAX_RANK};
static const opw_io_t out = {
    .struct_size = sizeof out, .name = "out", .alias = -1, .rank_max = OPW_MAX_RANK, .segs = like_x, .seg_count = 1};
static const opw_io_t *const inputs[] = {&x, &y}, *const outputs[] = {&out};
static const opw_attr_t alpha = {
    .struct_size = sizeof alpha, .kind = OPW_ATTR_FLOAT, .name = "alpha", .fallback = {OPW_ATTR_FLOAT, 0, {.f = 1.0}}};
static const opw_attr_t *const attrs[] = {&alpha};
static const opw_tactic_t only = {sizeof only, 1, "BLOCK=1024"};
static const opw_tactic_t *const tactics[] = {&only};
static const uint8_t combos[] = {OPW_F32, OPW_F64};
static const opw_op_t add = {.struct_size = sizeof add,
                             .version = 1,
                             .ns = "sample",
                             .name = "add",
                             .doc = "x + alpha * y",
                             .typevars = typevars,
                             .inputs = inputs,
                             .outputs = outputs,
                             .attrs = attrs,
                             .combos = combos,
                             .tactics = tactics,
                             .plans = plans,
                             .plan_index = plan_index,
                             .typevar_count = 1,
                             .input_count = 2,
                             .output_count = 1,
                             .attr_count = 1,
                             .combo_count = 2,
                             .tactic_count = 1,
                             .plan_count = 2};
static const opw_op_t *const ops[] = {&add};

static _Alignas(64) unsigned char state[OPW_STATE_BYTES(1, 0)];
__attribute__((visibility("hidden"))) extern const opw_tables_t opw_tables;
const opw_tables_t opw_tables = {.struct_size = sizeof opw_tables,
                                 .abi_minor = OPW_ABI_MINOR,
                                 .name = "add_plugin",
                                 .producer = "by hand",
                                 .ops = ops,
                                 .kernels = kernels,
                                 .op_count = 1,
                                 .kernel_count = COUNT(kernels),
                                 .state = state,
                                 .state_bytes = sizeof state};
