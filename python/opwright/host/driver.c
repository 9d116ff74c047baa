/* A host in C: calls operators of one library through plugin.h. Commands on stdin, answers on stdout; programs.py has
 * their form. */
#include <dlfcn.h>
#include <opwright/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words of a command, and of an answer ---- */

static char *word(void) {
  char *w = NULL;
  if (scanf("%ms", &w) != 1)
    exit(0); /* the other side has gone */
  return w;
}

static int64_t number(void) {
  char *w = word();
  int64_t n = strtoll(w, NULL, 10);
  free(w);
  return n;
}

static double real(void) {
  char *w = word();
  double x = strtod(w, NULL);
  free(w);
  return x;
}

/* Bytes that travel as hexadecimal digits, and "." for none; a NUL follows them. */
static unsigned char *bytes(size_t *count) {
  char *w = word();
  *count = strcmp(w, ".") ? strlen(w) / 2 : 0;
  unsigned char *memory = aligned_alloc(256, (*count + 256) / 256 * 256);
  for (size_t i = 0; i < *count; ++i) {
    unsigned value;
    sscanf(w + 2 * i, "%2x", &value);
    memory[i] = (unsigned char)value;
  }
  memory[*count] = 0;
  free(w);
  return memory;
}

static void printBytes(const void *memory, size_t count) {
  const unsigned char *byte = memory;
  for (size_t i = 0; i < count; ++i)
    printf("%02x", byte[i]);
  printf(count ? " " : ". ");
}

/* ---- tensors ---- */

typedef struct Tensor {
  opw_tensor_t view;
  void *memory;
  int64_t shape[OPW_MAX_RANK], strides[OPW_MAX_RANK];
} Tensor;

/* DLPack's code and bits of each opw_dtype_t */
static const uint8_t kinds[][2] = {{0, 0},  {6, 8},  {0, 8},  {0, 16}, {0, 32}, {0, 64}, {1, 8},
                                   {1, 16}, {1, 32}, {1, 64}, {2, 16}, {4, 16}, {2, 32}, {2, 64},
                                   {10, 8}, {12, 8}, {11, 8}, {13, 8}, {9, 8},  {14, 8}};

static int numberOf(const opw_tensor_t *t) {
  for (int n = 1; n < (int)(sizeof kinds / sizeof kinds[0]); ++n)
    if (kinds[n][0] == t->dl_code && kinds[n][1] == t->dl_bits)
      return n;
  return 0;
}

static size_t sizeOf(const opw_tensor_t *t) {
  size_t count = t->dl_bits / 8u;
  for (int i = 0; i < t->ndim; ++i)
    count *= (size_t)t->shape[i];
  return count;
}

/* TYPE RANK SIZE... 0|1 [STRIDE...] OFFSET BYTES */
static void readTensor(Tensor *t) {
  memset(t, 0, sizeof *t);
  const uint8_t *kind = kinds[number()];
  t->view = (opw_tensor_t){.device_type = OPW_DEVICE_CPU, .dl_code = kind[0], .dl_bits = kind[1], .dl_lanes = 1};
  t->view.ndim = (int32_t)number();
  t->view.shape = t->shape;
  for (int i = 0; i < t->view.ndim; ++i)
    t->shape[i] = number();
  if (number()) {
    t->view.strides = t->strides;
    for (int i = 0; i < t->view.ndim; ++i)
      t->strides[i] = number();
  }
  int64_t offset = number();
  size_t count;
  t->memory = bytes(&count);
  t->view.data = (char *)t->memory + offset;
}

static void allocate(Tensor *t, uint16_t align) {
  size_t boundary = align > 64 ? align : 64;
  t->memory = aligned_alloc(boundary, (sizeOf(&t->view) + boundary) / boundary * boundary);
  t->view.data = t->memory;
  t->view.device_type = OPW_DEVICE_CPU;
}

/* ---- attributes: letter COUNT VALUE... ---- */

static opw_attr_value_t readAttribute(const opw_attr_t *declared) {
  char *letter = word();
  opw_attr_value_t v = {.count = (uint32_t)number()};
  size_t length;
  int64_t *ints = calloc(v.count + 1, 8);
  double *floats = calloc(v.count + 1, 8);
  uint8_t *bools = calloc(v.count + 1, 1);
  const char **strings = calloc(v.count + 1, sizeof *strings);
  for (uint32_t i = 0; i < v.count; ++i)
    switch (letter[0]) {
    case 'i':
    case 'I':
    case 'd':
      floats[i] = (double)(ints[i] = number());
      break;
    case 'f':
    case 'F':
      floats[i] = real();
      break;
    case 'b':
    case 'B':
      bools[i] = (uint8_t)number();
      break;
    default:
      strings[i] = (const char *)bytes(&length);
    }
  switch (letter[0]) {
  case 'i':
    v.kind = OPW_ATTR_INT, v.u.i = ints[0];
    break;
  case 'd':
    v.kind = OPW_ATTR_DTYPE, v.u.i = ints[0];
    break;
  case 'f':
    v.kind = OPW_ATTR_FLOAT, v.u.f = floats[0];
    break;
  case 'b':
    v.kind = OPW_ATTR_BOOL, v.u.i = bools[0];
    break;
  case 's':
    v.kind = OPW_ATTR_STRING, v.u.s = strings[0], v.count = (uint32_t)length;
    break;
  case 'y':
    v.kind = OPW_ATTR_BYTES, v.u.bytes = strings[0], v.count = (uint32_t)length;
    break;
  case 'I':
    v.kind = OPW_ATTR_INTS, v.u.ints = ints;
    break;
  case 'F':
    v.kind = OPW_ATTR_FLOATS, v.u.floats = floats;
    break;
  case 'B':
    v.kind = OPW_ATTR_BOOLS, v.u.bools = bools;
    break;
  default:
    v.kind = OPW_ATTR_STRINGS, v.u.strings = strings;
  }
  /* what a programmer writes in C: floats for floats, and the number of a choice */
  if (letter[0] == 'i' && declared->kind == OPW_ATTR_FLOAT)
    v.kind = OPW_ATTR_FLOAT, v.u.f = floats[0];
  if (letter[0] == 'I' && declared->kind == OPW_ATTR_FLOATS)
    v.kind = OPW_ATTR_FLOATS, v.u.floats = floats;
  free(letter);
  if (v.kind == OPW_ATTR_STRING && declared->kind == OPW_ATTR_ENUM) {
    v.kind = OPW_ATTR_ENUM;
    v.u.i = 0;
    while (v.u.i < declared->choice_count && strcmp(declared->choices[v.u.i], strings[0]) != 0)
      ++v.u.i;
  }
  if (v.kind != OPW_ATTR_STRING && v.kind < OPW_ATTR_BYTES)
    v.count = 0;
  return v;
}

/* ---- calls ---- */

static const opw_api_t *api;
static char text[1024];
static opw_error_t error = {.struct_size = sizeof error, .text = text, .text_size = sizeof text};

static int isCounted(const opw_tensor_t *t) {
  for (int i = 0; i < t->ndim; ++i)
    if (t->shape[i] < 0)
      return 1;
  return 0;
}

/* Whether the plan that is chosen writes the counted outputs in a phase of their own. */
static opw_status_t countsFirst(const opw_op_t *op, opw_call_t *call, int *first) {
  opw_choice_t choice = {.struct_size = sizeof choice};
  opw_status_t status = api->choose(op, call, &choice, &error);
  if (status)
    return status;
  call->tactic = choice.tactic;
  const opw_plan_t *plan = op->plans[choice.plan];
  *first = 0;
  for (uint32_t i = 0; i < plan->launch_count; ++i)
    *first |= plan->launches[i]->phase == 1;
  return OPW_OK;
}

/* Outputs whose sizes the call counts: in two phases, or in memory as large as the bounds. */
static opw_status_t runCounted(const opw_op_t *op, opw_call_t *call, Tensor *outputs, opw_tensor_t **views) {
  int counted[OPW_MAX_TENSORS], first;
  for (uint32_t i = 0; i < call->output_count; ++i) {
    counted[i] = isCounted(&outputs[i].view);
    views[i] = counted[i] ? NULL : &outputs[i].view;
  }
  opw_status_t status = countsFirst(op, call, &first);
  if (!status && first) {
    if ((status = api->workspace(op, call, &call->workspace_bytes, &error)))
      return status;
    call->workspace = aligned_alloc(4096, (call->workspace_bytes + 4096) / 4096 * 4096);
    call->phases = 1;
    status = api->run(op, call, &error);
  } else if (!status) {
    for (uint32_t k = 0; k < op->size_count && !status; ++k)
      status = api->eval(op, &op->sizes[k]->upper, call, outputs[op->sizes[k]->output].view.data, &error);
  }
  if (status)
    return status;
  for (uint32_t i = 0; i < call->output_count; ++i)
    views[i] = &outputs[i].view;
  call->phases = 2;
  if ((status = api->infer(op, call, &error)))
    return status;
  for (uint32_t i = 0; i < call->output_count; ++i)
    if (counted[i])
      allocate(&outputs[i], op->outputs[i]->align);
  if (first)
    return api->run(op, call, &error);
  call->phases = 0;
  if ((status = api->run(op, call, &error)))
    return status;
  call->phases = 2; /* the sizes that were counted */
  return api->infer(op, call, &error);
}

/* NAMESPACE NAME VERSION TACTIC IN_PLACE, inputs, outputs, attributes */
static void answerCall(void) {
  static Tensor inputs[OPW_MAX_TENSORS], outputs[OPW_MAX_TENSORS];
  const opw_tensor_t *in[OPW_MAX_TENSORS];
  opw_tensor_t *out[OPW_MAX_TENSORS];
  char *ns = word(), *name = word();
  const opw_op_t *op = api->find(ns, name, (int32_t)number());
  opw_call_t call = {.struct_size = sizeof call, .inputs = in, .outputs = out, .device_type = OPW_DEVICE_CPU};
  call.tactic = (int32_t)number();
  int inPlace = (int)number(), make = 0, counted = 0;
  call.input_count = (uint32_t)number();
  for (uint32_t i = 0; i < call.input_count; ++i) {
    char *kind = word();
    in[i] = *kind == '-' ? NULL : &inputs[i].view;
    if (in[i])
      readTensor(&inputs[i]);
  }
  call.output_count = (uint32_t)number();
  for (uint32_t i = 0; i < call.output_count; ++i) {
    char *kind = word();
    memset(&outputs[i], 0, sizeof outputs[i]);
    outputs[i].view.shape = outputs[i].shape;
    out[i] = *kind == '-' ? NULL : &outputs[i].view;
    if (*kind == 't')
      readTensor(&outputs[i]);
    if (*kind == '=')
      outputs[i] = inputs[number()], outputs[i].view.shape = outputs[i].shape;
    make += *kind == '+';
  }
  opw_attr_value_t *attributes = calloc(op->attr_count + 1, sizeof *attributes);
  for (int64_t i = number(); i > 0; --i) {
    char *attribute = word();
    for (uint32_t a = 0; a < op->attr_count; ++a)
      if (!strcmp(attribute, op->attrs[a]->name))
        attributes[a] = readAttribute(op->attrs[a]);
  }
  call.attrs = attributes;
  call.attr_count = op->attr_count;

  text[0] = 0;
  opw_status_t status = make ? api->infer(op, &call, &error) : OPW_OK;
  for (uint32_t i = 0; i < call.output_count && !status; ++i) {
    const opw_io_t *io = op->outputs[i < op->output_count ? i : op->output_count - 1];
    if (inPlace && io->alias >= 0)
      outputs[i].view.data = inputs[io->alias].view.data;
    else if (out[i] && !out[i]->data && isCounted(out[i]))
      counted = 1;
    else if (out[i] && !out[i]->data)
      allocate(&outputs[i], io->align);
  }
  if (!status)
    status = counted ? runCounted(op, &call, outputs, out) : api->run(op, &call, &error);
  if (status) {
    printf("refused %d ", status);
    printBytes(text, strlen(text));
  } else {
    printf("ok %u ", call.output_count);
    for (uint32_t i = 0; i < call.output_count; ++i) {
      if (!out[i]) {
        printf("- ");
        continue;
      }
      printf("t %d %d ", numberOf(out[i]), out[i]->ndim);
      for (int d = 0; d < out[i]->ndim; ++d)
        printf("%lld ", (long long)out[i]->shape[d]);
      printBytes(out[i]->data, sizeOf(out[i]));
    }
  }
}

int main(int argc, char **argv) {
  void *handle = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  opw_library_fn query = NULL;
  if (handle)
    *(void **)&query = dlsym(handle, "opw_library");
  const opw_library_t *library = query ? query(OPW_ABI_MAJOR) : NULL;
  if (!library) {
    fprintf(stderr, "%s: no plugin of ABI %u\n", argc == 2 ? argv[1] : "usage: driver LIBRARY", OPW_ABI_MAJOR);
    return 1;
  }
  api = library->api;
  for (;;) {
    free(word()); /* "call" */
    answerCall();
    printf("\n");
    fflush(stdout);
  }
}
