/* Runs an operator of one input from C: no Python, nothing linked but libc.
 *
 *   main LIB.so ns::op 10,3,32,32 x.bin OUT [NAME=VALUE ...]
 *
 * x.bin holds a row-major fp32 tensor. Output i goes to OUT.i, its shape is printed. An output in place has the memory
 * of the input. Attributes are integers and lists of them: pads=1,1,1,1. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <opwright/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUTS = 4, MAX_ATTRIBUTES = 4, MAX_NUMBERS = 16 };

static void stop(const char *what, const char *why) {
  fprintf(stderr, "main: %s: %s\n", what, why);
  exit(1);
}

/* "1,2,3" into numbers; returns how many. */
static uint32_t numbers_of(const char *text, int64_t *numbers) {
  uint32_t count = 0;
  for (char *end; *text && count < MAX_NUMBERS; text = *end ? end + 1 : end) {
    numbers[count++] = strtoll(text, &end, 10);
    if (end == text || (*end && *end != ','))
      stop(text, "expected integers such as 1,2,3");
  }
  return count;
}

static size_t bytes_of(const opw_tensor_t *tensor) {
  size_t bytes = tensor->dl_bits / 8u;
  for (int32_t axis = 0; axis < tensor->ndim; ++axis)
    bytes *= (size_t)tensor->shape[axis];
  return bytes;
}

static void *memory_of(size_t bytes) {
  void *data = aligned_alloc(64, (bytes + 64) / 64 * 64);
  if (!data)
    stop("memory", "there is none");
  return data;
}

static int is_known(const opw_tensor_t *tensor) {
  for (int32_t axis = 0; axis < tensor->ndim; ++axis)
    if (tensor->shape[axis] < 0)
      return 0;
  return 1;
}

static const opw_op_t *find(const opw_library_t *library, char *id) {
  char *colons = strstr(id, "::");
  if (!colons)
    stop(id, "expected ns::op");
  *colons = 0;
  const opw_op_t *op = library->api->find(id, colons + 2, 0);
  *colons = ':';
  if (!op || op->input_count != 1 || op->output_count > MAX_OUTPUTS || op->attr_count > MAX_ATTRIBUTES)
    stop(id, "not in the library, or not of one input");
  return op;
}

int main(int argc, char **argv) {
  if (argc < 6)
    stop("usage", "main LIB.so ns::op 10,3,32,32 x.bin OUT [NAME=VALUE ...]");
  void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    stop("dlopen", dlerror());
  opw_library_fn query;
  *(void **)&query = dlsym(handle, "opw_library");
  const opw_library_t *library = query ? query(OPW_ABI_MAJOR) : NULL;
  if (!library)
    stop(argv[1], "not an Opwright plugin of this ABI version");
  const opw_op_t *op = find(library, argv[2]);

  /* attributes, in declared order */
  opw_attr_value_t attributes[MAX_ATTRIBUTES] = {0};
  int64_t numbers[MAX_ATTRIBUTES][MAX_NUMBERS];
  for (int a = 6; a < argc; ++a) {
    char *equals = strchr(argv[a], '=');
    if (!equals)
      stop(argv[a], "expected NAME=VALUE");
    *equals = 0;
    uint32_t i = 0;
    while (i < op->attr_count && strcmp(argv[a], op->attrs[i]->name))
      ++i;
    if (i == op->attr_count)
      stop(argv[a], "not an attribute of the operator");
    uint32_t count = numbers_of(equals + 1, numbers[i]);
    attributes[i].kind = op->attrs[i]->kind;
    if (op->attrs[i]->kind == OPW_ATTR_INTS) {
      attributes[i].u.ints = numbers[i];
      attributes[i].count = count;
    } else if (op->attrs[i]->kind == OPW_ATTR_INT && count == 1) {
      attributes[i].u.i = numbers[i][0];
    } else {
      stop(argv[a], "expected an integer, or a list of them, as the operator declares");
    }
  }

  /* the input, from its file */
  int64_t shape[MAX_NUMBERS];
  opw_tensor_t x = {.device_type = OPW_DEVICE_CPU, .dl_code = 2, .dl_bits = 32, .dl_lanes = 1, .shape = shape};
  x.ndim = (int32_t)numbers_of(argv[3], shape);
  x.data = memory_of(bytes_of(&x));
  FILE *file = fopen(argv[4], "rb");
  if (!file || fread(x.data, 1, bytes_of(&x), file) != bytes_of(&x))
    stop(argv[4], "cannot be read, or is too short");
  fclose(file);

  /* the call; the operator says what it returns */
  opw_tensor_t out[MAX_OUTPUTS];
  int64_t out_shapes[MAX_OUTPUTS][OPW_MAX_RANK];
  const opw_tensor_t *inputs[1] = {&x};
  opw_tensor_t *outputs[MAX_OUTPUTS];
  for (uint32_t i = 0; i < op->output_count; ++i) {
    out[i] = (opw_tensor_t){.device_type = OPW_DEVICE_CPU, .shape = out_shapes[i]};
    outputs[i] = &out[i];
  }
  opw_call_t call = {.struct_size = sizeof call,
                     .inputs = inputs,
                     .outputs = outputs,
                     .attrs = attributes,
                     .input_count = 1,
                     .output_count = op->output_count,
                     .attr_count = op->attr_count,
                     .device_type = OPW_DEVICE_CPU};
  char text[512] = "";
  opw_error_t error = {.struct_size = sizeof error, .text = text, .text_size = sizeof text};
  if (library->api->infer(op, &call, &error))
    stop("infer", text);

  /* sizes that depend on the data are -1 until the first phase has counted them, in a workspace that the second needs
   */
  if (op->size_count) {
    for (uint32_t i = 0; i < op->output_count; ++i)
      if (is_known(&out[i]))
        out[i].data = memory_of(bytes_of(&out[i]));
      else
        outputs[i] = NULL;
    if (library->api->workspace(op, &call, &call.workspace_bytes, &error))
      stop("workspace", text);
    call.workspace_bytes += 64;
    call.workspace = memory_of(call.workspace_bytes);
    call.phases = 1;
    if (library->api->run(op, &call, &error))
      stop("counting", text);
    for (uint32_t i = 0; i < op->output_count; ++i)
      outputs[i] = &out[i];
    call.phases = 2;
    if (library->api->infer(op, &call, &error))
      stop("infer after counting", text);
  }
  for (uint32_t i = 0; i < op->output_count; ++i)
    if (op->outputs[i]->flags & OPW_IO_INPLACE)
      out[i].data = x.data;
    else if (!out[i].data)
      out[i].data = memory_of(bytes_of(&out[i]));
  if (library->api->run(op, &call, &error))
    stop("run", text);

  for (uint32_t i = 0; i < op->output_count; ++i) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%u", argv[5], i);
    file = fopen(path, "wb");
    if (!file || fwrite(out[i].data, 1, bytes_of(&out[i]), file) != bytes_of(&out[i]) || fclose(file))
      stop(path, "cannot be written");
    printf("%s:", op->outputs[i]->name);
    for (int32_t axis = 0; axis < out[i].ndim; ++axis)
      printf(" %lld", (long long)out[i].shape[axis]);
    printf("\n");
  }
  return 0;
}
