/* A host in C, as a library: prepares a call of triton::vector_add on 16 floats once, then makes it many times. */
#include <dlfcn.h>
#include <stddef.h>

#include <opwright/plugin.h>

enum { kSize = 16 };

static float data[3][kSize];
static int64_t size[1] = {kSize};
static opw_tensor_t tensors[3];
static const opw_tensor_t *inputs[2] = {&tensors[0], &tensors[1]};
static opw_tensor_t *outputs[1] = {&tensors[2]};
static opw_call_t call = {.struct_size = sizeof call,
                          .inputs = inputs,
                          .outputs = outputs,
                          .input_count = 2,
                          .output_count = 1,
                          .device_type = OPW_DEVICE_CPU};
static const opw_api_t *api;
static const opw_op_t *op;

/* 1 when calls can be made. */
int prepare(const char *plugin) {
  for (int i = 0; i < 3; ++i)
    tensors[i] = (opw_tensor_t){.data = data[i],
                                .device_type = OPW_DEVICE_CPU,
                                .ndim = 1,
                                .dl_code = 2,
                                .dl_bits = 32,
                                .dl_lanes = 1,
                                .shape = size};
  void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
  opw_library_fn open = handle ? (opw_library_fn)dlsym(handle, "opw_library") : NULL;
  const opw_library_t *library = open ? open(OPW_ABI_MAJOR) : NULL;
  api = library ? library->api : NULL;
  op = api ? api->find("triton", "vector_add", 0) : NULL;
  return op != NULL;
}

/* The status of the last of `count` calls. */
int run(int count) {
  char text[512] = "";
  int status = -1;
  for (int i = 0; i < count; ++i) {
    opw_error_t error = {.struct_size = sizeof error, .text = text, .text_size = sizeof text};
    status = api->run(op, &call, &error);
  }
  return status;
}
