/* What the programs of an op cost: asks for the workspace of two ops again and again, which evaluates all their vars;
 * the second has kVars vars, the first none. Prints the instructions of one var and the nanoseconds of one evaluation.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <opwright/plugin.h>

enum { kBatches = 101, kCalls = 1000 };

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int byValue(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double batch(const opw_api_t *api, const opw_op_t *op, const opw_call_t *call) {
  size_t bytes;
  double start = seconds();
  for (int i = 0; i < kCalls; ++i)
    if (api->workspace(op, call, &bytes, NULL) != OPW_OK) {
      fprintf(stderr, "programs: a call is refused\n");
      exit(1);
    }
  return (seconds() - start) / kCalls;
}

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  opw_library_fn open = handle ? (opw_library_fn)dlsym(handle, "opw_library") : NULL;
  const opw_library_t *library = open ? open(OPW_ABI_MAJOR) : NULL;
  if (!library) {
    fprintf(stderr, "programs: %s\n", handle ? "not a plugin of this ABI" : dlerror());
    return 1;
  }
  const opw_api_t *api = library->api;
  const opw_op_t *without = api->find("bench", "none", 0), *with = api->find("bench", "many", 0);
  int64_t shape[3] = {384, 640, 4096};
  opw_tensor_t x = {
      .device_type = OPW_DEVICE_CPU, .ndim = 3, .dl_code = 2, .dl_bits = 32, .dl_lanes = 1, .shape = shape};
  const opw_tensor_t *inputs[] = {&x};
  opw_call_t call = {.struct_size = sizeof call, .inputs = inputs, .input_count = 1, .device_type = OPW_DEVICE_CPU};
  if (!without || !with || with->var_count == 0)
    return 1;
  double each[kBatches];
  for (int i = -10; i < kBatches; ++i) {
    double none = batch(api, without, &call), many = batch(api, with, &call);
    if (i >= 0)
      each[i] = (many - none) / with->var_count;
  }
  qsort(each, kBatches, sizeof each[0], byValue);
  printf("%u %.3f\n", with->vars[0].count, each[kBatches / 2] * 1e9);
  return 0;
}
