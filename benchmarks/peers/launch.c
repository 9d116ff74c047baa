/* A host in C: opens a plugin, gets a first result, then launches an empty kernel many times.
 * Prints two figures: milliseconds from dlopen to the first result, microseconds of one launch. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <opwright/plugin.h>

enum { kBatches = 101, kLaunches = 2000 };

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int byValue(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static opw_tensor_t vector(float *data, int64_t *size) {
  return (opw_tensor_t){.data = data,
                        .device_type = OPW_DEVICE_CPU,
                        .ndim = 1,
                        .dl_code = 2,
                        .dl_bits = 32,
                        .dl_lanes = 1,
                        .shape = size};
}

static void run(const opw_api_t *api, const opw_op_t *op, const opw_call_t *call) {
  char text[512] = "";
  opw_error_t error = {.struct_size = sizeof error, .text = text, .text_size = sizeof text};
  if (api->run(op, call, &error) != OPW_OK) {
    fprintf(stderr, "launch: %s\n", text);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  float in[1] = {1.5f}, out[1] = {0};
  int64_t size[1] = {1};
  opw_tensor_t x = vector(in, size), y = vector(out, size);
  const opw_tensor_t *inputs[] = {&x};
  opw_tensor_t *outputs[] = {&y};
  opw_call_t call = {.struct_size = sizeof call,
                     .inputs = inputs,
                     .outputs = outputs,
                     .input_count = 1,
                     .output_count = 1,
                     .device_type = OPW_DEVICE_CPU};

  double start = seconds();
  void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  opw_library_fn open = handle ? (opw_library_fn)dlsym(handle, "opw_library") : NULL;
  const opw_library_t *library = open ? open(OPW_ABI_MAJOR) : NULL;
  if (!library) {
    fprintf(stderr, "launch: %s\n", handle ? "not a plugin of this ABI" : dlerror());
    return 1;
  }
  const opw_api_t *api = library->api;
  const opw_op_t *negate = api->find("triton", "negate", 0), *empty = api->find("triton", "empty", 0);
  if (!negate || !empty) {
    fprintf(stderr, "launch: the plugin has no triton::negate or no triton::empty\n");
    return 1;
  }
  run(api, negate, &call);
  double first = seconds() - start;
  if (out[0] != -1.5f) {
    fprintf(stderr, "launch: found %g, expected -1.5\n", out[0]);
    return 1;
  }

  double batches[kBatches];
  for (int batch = 0; batch < kBatches; ++batch) {
    start = seconds();
    for (int i = 0; i < kLaunches; ++i)
      run(api, empty, &call);
    batches[batch] = (seconds() - start) / kLaunches;
  }
  qsort(batches, kBatches, sizeof batches[0], byValue);
  printf("%.6f %.6f\n", first * 1e3, batches[kBatches / 2] * 1e6);
  return 0;
}
