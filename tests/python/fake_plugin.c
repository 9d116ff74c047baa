/* A plugin library by hand, against the real header: two operators whose results are easy to predict. It stands in for
 * built libraries where only the Python side is under test, and shows whether its structures are those of plugin.h.
 *
 * triton::add_kernel(x, y) -> out             f32, rank 1, sizes must agree
 * triton::scale_kernel(x, *, factor) -> out, sums   f16 in and out (doubled bit patterns are not looked at): out = x's
 * bytes, sums[i] = factor; sums has ceil(n / 128) elements */
#include <opwright/plugin.h>
#include <stdio.h>
#include <string.h>

#ifndef FAKE_MAJOR
#define FAKE_MAJOR OPW_ABI_MAJOR
#endif

static opw_status_t refuse(opw_error_t *error, opw_status_t code, const char *text) {
  if (error && error->struct_size == sizeof *error && error->text_size) {
    error->code = code;
    snprintf(error->text, error->text_size, "%s", text);
  }
  return code;
}

static const opw_typevar_t half = {sizeof half, 1u << OPW_F16, "T"}, single = {sizeof single, 1u << OPW_F32, "S"};
static const opw_typevar_t *const add_types[] = {&single}, *const scale_types[] = {&half, &single};
static const uint8_t add_combos[] = {OPW_F32}, scale_combos[] = {OPW_F16, OPW_F32};
static const opw_io_t x1 = {.struct_size = sizeof(opw_io_t), .name = "x", .alias = -1, .rank_min = 1, .rank_max = 1};
static const opw_io_t y1 = {.struct_size = sizeof(opw_io_t), .name = "y", .alias = -1, .rank_min = 1, .rank_max = 1};
static const opw_io_t out1 = {
    .struct_size = sizeof(opw_io_t), .name = "out", .alias = -1, .rank_min = 1, .rank_max = 1};
static const opw_io_t sums = {
    .struct_size = sizeof(opw_io_t), .name = "sums", .alias = -1, .typevar = 1, .rank_max = 16};
static const opw_io_t *const add_in[] = {&x1, &y1}, *const one_out[] = {&out1}, *const scale_in[] = {&x1};
static const opw_io_t *const scale_out[] = {&out1, &sums};
static const opw_attr_t factor = {.struct_size = sizeof(opw_attr_t), .kind = OPW_ATTR_FLOAT, .name = "factor"};
static const opw_attr_t *const scale_attrs[] = {&factor};
static const opw_op_t add_op = {.struct_size = sizeof(opw_op_t),
                                .version = 1,
                                .ns = "triton",
                                .name = "add_kernel",
                                .doc = "Adds two vectors.",
                                .inputs = add_in,
                                .outputs = one_out,
                                .typevars = add_types,
                                .combos = add_combos,
                                .typevar_count = 1,
                                .input_count = 2,
                                .output_count = 1,
                                .combo_count = 1};
static const opw_op_t scale_op = {.struct_size = sizeof(opw_op_t),
                                  .version = 1,
                                  .ns = "triton",
                                  .name = "scale_kernel",
                                  .inputs = scale_in,
                                  .outputs = scale_out,
                                  .attrs = scale_attrs,
                                  .typevars = scale_types,
                                  .combos = scale_combos,
                                  .typevar_count = 2,
                                  .input_count = 1,
                                  .output_count = 2,
                                  .attr_count = 1,
                                  .combo_count = 1};
#ifdef FAKE_MORE /* triton::peek(*, raw, table) -> out: f32, [length of raw, first element of table] */
static const opw_io_t pair = {
    .struct_size = sizeof(opw_io_t), .name = "out", .alias = -1, .rank_min = 1, .rank_max = 1};
static const opw_io_t *const peek_out[] = {&pair};
static const opw_attr_t raw = {.struct_size = sizeof(opw_attr_t),
                               .kind = OPW_ATTR_BYTES,
                               .name = "raw",
                               .fallback = {OPW_ATTR_BYTES, 3, {.bytes = "a\0b"}}};
static const opw_attr_t table = {.struct_size = sizeof(opw_attr_t), .kind = OPW_ATTR_TENSOR, .name = "table"};
static const opw_attr_t *const peek_attrs[] = {&raw, &table};
static const opw_op_t peek_op = {.struct_size = sizeof(opw_op_t),
                                 .version = 1,
                                 .ns = "triton",
                                 .name = "peek",
                                 .typevars = add_types,
                                 .outputs = peek_out,
                                 .attrs = peek_attrs,
                                 .combos = add_combos,
                                 .typevar_count = 1,
                                 .output_count = 1,
                                 .attr_count = 2,
                                 .combo_count = 1};
static const opw_op_t *const ops[] = {&add_op, &scale_op, &peek_op};
#else
static const opw_op_t *const ops[] = {&add_op, &scale_op};
#endif
enum { OPS = sizeof ops / sizeof *ops };

static const opw_op_t *find(const char *ns, const char *name, int32_t version) {
  for (int i = 0; i < OPS; ++i)
    if (!strcmp(ns, ops[i]->ns) && !strcmp(name, ops[i]->name) && version <= ops[i]->version)
      return ops[i];
  return 0;
}

static opw_status_t check(const opw_op_t *op, opw_error_t *error) {
  return op ? OPW_OK : refuse(error, OPW_E_ARGUMENT, "no operator");
}

static void describe(opw_tensor_t *t, uint8_t bits, int64_t size) {
  t->ndim = 1;
  t->dl_code = 2;
  t->dl_bits = bits;
  t->dl_lanes = 1;
  t->shape[0] = size;
}

static opw_status_t infer(const opw_op_t *op, const opw_call_t *call, opw_error_t *error) {
#ifdef FAKE_MORE
  if (op == &peek_op) {
    describe(call->outputs[0], 32, 2);
    return OPW_OK;
  }
#endif
  const opw_tensor_t *x = call->inputs[0];
  if (call->struct_size != sizeof *call || call->device_type != OPW_DEVICE_CPU)
    return refuse(error, OPW_E_ABI, "bad call");
  if (op == &add_op) {
    if (x->shape[0] != call->inputs[1]->shape[0])
      return refuse(error, OPW_E_SHAPE, "triton::add_kernel: sizes differ \xc3\xa4");
    describe(call->outputs[0], 32, x->shape[0]);
    return OPW_OK;
  }
  describe(call->outputs[0], 16, x->shape[0]);
  describe(call->outputs[1], 32, (x->shape[0] + 127) / 128);
  return OPW_OK;
}

static opw_status_t run(const opw_op_t *op, const opw_call_t *call, opw_error_t *error) {
#ifdef FAKE_MORE
  if (op == &peek_op) {
    float *out = call->outputs[0]->data;
    out[0] = (float)(call->attrs[0].kind == OPW_ATTR_BYTES ? call->attrs[0].count : raw.fallback.count);
    out[1] = *(const float *)call->attrs[1].u.tensor->data;
    return OPW_OK;
  }
#endif
  const opw_tensor_t *x = call->inputs[0];
  if (op == &add_op) {
    const float *a = x->data, *b = call->inputs[1]->data;
    for (int64_t i = 0; i < x->shape[0]; ++i)
      ((float *)call->outputs[0]->data)[i] = a[i] + b[i];
    return OPW_OK;
  }
  if (call->attr_count != 1 || call->attrs[0].kind != OPW_ATTR_FLOAT)
    return refuse(error, OPW_E_ARGUMENT, "factor is missing");
  if (call->attrs[0].u.f < 0)
    return refuse(error, OPW_E_ASSERT, "negative factor");
  if (x->shape[0])
    memcpy(call->outputs[0]->data, x->data, (size_t)x->shape[0] * 2);
  for (int64_t i = 0; i < call->outputs[1]->shape[0]; ++i)
    ((float *)call->outputs[1]->data)[i] = (float)call->attrs[0].u.f;
  return OPW_OK;
}

static uint64_t state[1024];
static const opw_tables_t tables = {.struct_size = sizeof tables,
                                    .abi_minor = OPW_ABI_MINOR,
                                    .name = "fake",
                                    .producer = "by hand",
                                    .ops = ops,
                                    .op_count = OPS,
                                    .state = state,
                                    .state_bytes = sizeof state};
static const opw_api_t api = {.struct_size = sizeof api, .find = find, .check = check, .infer = infer, .run = run};
static const opw_library_t library = {FAKE_MAJOR, OPW_ABI_MINOR, sizeof library, 0, &tables, &api};

#ifndef FAKE_NO_QUERY
const opw_library_t *opw_library(uint32_t abi_major) { return abi_major == FAKE_MAJOR ? &library : 0; }
#endif
