/* Runs the attention plugin from C: no Python, no compiler, nothing linked but libc.
 *
 *   main LIB.so BATCH HEADS SEQUENCE SCALE REPEATS q.bin k.bin v.bin out.bin lse.bin
 *
 * The files hold row-major tensors: q, k, v and out fp16 [batch, heads, sequence, 64], lse fp32 [batch, heads,
 * sequence]. Prints the shortest time of a call in milliseconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <opwright/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HEAD = 64 };

static void stop(const char *what, const char *why) {
  fprintf(stderr, "main: %s: %s\n", what, why);
  exit(1);
}

static void *read_file(const char *path, size_t bytes) {
  void *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  FILE *file = fopen(path, "rb");
  if (!data || !file || fread(data, 1, bytes, file) != bytes)
    stop(path, "cannot be read, or is too short");
  fclose(file);
  return data;
}

static void write_file(const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file))
    stop(path, "cannot be written");
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 12)
    stop("usage", "main LIB.so BATCH HEADS SEQUENCE SCALE REPEATS q.bin k.bin v.bin out.bin lse.bin");

  /* the library: one symbol, then tables and functions */
  void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    stop("dlopen", dlerror());
  opw_library_fn query;
  *(void **)&query = dlsym(handle, "opw_library");
  const opw_library_t *library = query ? query(OPW_ABI_MAJOR) : NULL;
  if (!library)
    stop(argv[1], "not an Opwright plugin of this ABI version");
  const opw_op_t *op = library->api->find("triton", "fused_attention_kernel", 0);
  if (!op)
    stop(argv[1], "has no operator triton::fused_attention_kernel");

  /* the call: views of the caller's memory, and the attributes in declared order */
  int64_t shape[4] = {atoll(argv[2]), atoll(argv[3]), atoll(argv[4]), HEAD};
  size_t rows = (size_t)(shape[0] * shape[1] * shape[2]), bytes = rows * HEAD * 2;
  opw_tensor_t in[3], out[2];
  const opw_tensor_t *inputs[3] = {&in[0], &in[1], &in[2]};
  opw_tensor_t *outputs[2] = {&out[0], &out[1]};
  int64_t out_shape[2][OPW_MAX_RANK];
  for (int i = 0; i < 3; ++i)
    in[i] = (opw_tensor_t){.data = read_file(argv[7 + i], bytes),
                           .device_type = OPW_DEVICE_CPU,
                           .ndim = 4,
                           .dl_code = 2,
                           .dl_bits = 16,
                           .dl_lanes = 1,
                           .shape = shape};
  for (int i = 0; i < 2; ++i)
    out[i] = (opw_tensor_t){.device_type = OPW_DEVICE_CPU, .shape = out_shape[i]};
  opw_attr_value_t scale = {.kind = OPW_ATTR_FLOAT, .u.f = atof(argv[5])};
  opw_call_t call = {.struct_size = sizeof call,
                     .inputs = inputs,
                     .outputs = outputs,
                     .attrs = &scale,
                     .input_count = 3,
                     .output_count = 2,
                     .attr_count = 1,
                     .device_type = OPW_DEVICE_CPU};
  char text[512] = "";
  opw_error_t error = {.struct_size = sizeof error, .text = text, .text_size = sizeof text};

  /* the plugin says what it returns; the caller allocates */
  if (library->api->infer(op, &call, &error))
    stop("infer", text);
  if (out[0].ndim != 4 || out[0].dl_bits != 16 || out[1].ndim != 3 || out[1].dl_bits != 32)
    stop("infer", "unexpected outputs");
  out[0].data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  out[1].data = aligned_alloc(64, (rows * 4 + 63) / 64 * 64);
  if (!out[0].data || !out[1].data)
    stop("outputs", "out of memory");

  double best = 1e30;
  for (int i = 0; i < atoi(argv[6]); ++i) {
    double start = now_ms();
    if (library->api->run(op, &call, &error))
      stop("run", text);
    double ms = now_ms() - start;
    best = ms < best ? ms : best;
  }
  write_file(argv[10], out[0].data, bytes);
  write_file(argv[11], out[1].data, rows * 4);
  printf("%.6f\n", best);
  return 0;
}
