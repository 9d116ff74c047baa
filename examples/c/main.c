/* Loads a plugin with dlopen and runs sample::add through plugin.h alone. */
#include <dlfcn.h>
#include <opwright/plugin.h>
#include <stdio.h>

int main(int argc, char **argv) {
  void *handle = dlopen(argc > 1 ? argv[1] : "./libadd.so", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  opw_library_fn query;
  *(void **)&query = dlsym(handle, "opw_library");
  const opw_library_t *library = query ? query(OPW_ABI_MAJOR) : NULL;
  if (!library) {
    fprintf(stderr, "not a plugin of ABI %u\n", OPW_ABI_MAJOR);
    return 1;
  }
  const opw_op_t *add = library->api->find("sample", "add", 0);
  if (!add) {
    fprintf(stderr, "no op sample::add\n");
    return 1;
  }

  static float x[60], y[60], z[60];
  for (int i = 0; i < 60; i++) {
    x[i] = (float)i;
    y[i] = 2.0f;
  }
  int64_t shape[2] = {10, 6}, inferred[OPW_MAX_RANK];
  opw_tensor_t tx = {x, OPW_DEVICE_CPU, 0, 2, 2, 32, 1, shape, NULL, 0};
  opw_tensor_t ty = {y, OPW_DEVICE_CPU, 0, 2, 2, 32, 1, shape, NULL, 0};
  opw_tensor_t tz = {z, OPW_DEVICE_CPU, 0, 0, 0, 0, 0, inferred, NULL, 0};
  const opw_tensor_t *in[] = {&tx, &ty};
  opw_tensor_t *out[] = {&tz};
  opw_attr_value_t alpha = {OPW_ATTR_FLOAT, 0, {.f = 0.5}};
  char text[256] = "";
  opw_error_t error = {sizeof error, OPW_OK, text, sizeof text};
  opw_call_t call = {.struct_size = sizeof call,
                     .inputs = in,
                     .outputs = out,
                     .attrs = &alpha,
                     .input_count = 2,
                     .output_count = 1,
                     .attr_count = 1,
                     .device_type = OPW_DEVICE_CPU};

  if (library->api->infer(add, &call, &error) || library->api->run(add, &call, &error)) {
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  printf("%s::%s: [%d, %d], z[59] = %g\n", add->ns, add->name, (int)tz.shape[0], (int)tz.shape[1], (double)z[59]);

  ty.dl_bits = 64; /* a refusal is a status and a text */
  opw_status_t status = library->api->run(add, &call, &error);
  printf("status %d: %s\n", status, text);
  return z[59] == 60.0f && status == OPW_E_DTYPE ? 0 : 1;
}
