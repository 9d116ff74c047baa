/* Calls the TVM-FFI symbol of sample::add in a process without TVM-FFI and prints how often memory was asked for during
 * 1000 calls, then what a refused call returns. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <opwright/plugin.h>

static int allocations;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_memalign(size_t, size_t);
void *malloc(size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
  ++allocations;
  return __libc_calloc(n, size);
}
int posix_memalign(void **p, size_t align, size_t n) {
  ++allocations;
  *p = __libc_memalign(align, n);
  return *p ? 0 : 12;
}

typedef struct { /* TVMFFIAny */
  int32_t type;
  uint32_t padding;
  union {
    void *pointer;
    double number;
  } value;
} Any;
typedef int (*Function)(void *, const Any *, int32_t, Any *);

int main(int argc, char **argv) {
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  Function add = library ? (Function)dlsym(library, "__tvm_ffi_sample__add") : NULL;
  if (!add)
    return 2;
  float data[3][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 1, 1, 1, 1, 1, 1}};
  int64_t size = 8, stride = 1;
  opw_tensor_t tensors[3];
  Any args[4] = {{0}}, result = {0};
  for (int i = 0; i < 3; ++i) {
    tensors[i] = (opw_tensor_t){data[i], 1, 0, 1, 2, 32, 1, &size, &stride, 0};
    args[i == 2 ? 3 : i] = (Any){7, 0, {.pointer = &tensors[i]}}; /* kTVMFFIDLTensorPtr */
  }
  args[2] = (Any){3, 0, {.number = 2}};
  if (add(NULL, args, 4, &result) || data[2][7] != 10)
    return 3;
  allocations = 0;
  for (int i = 0; i < 1000; ++i)
    if (add(NULL, args, 4, &result))
      return 4;
  printf("%d ", allocations);
  printf("%d\n", add(NULL, args, 3, &result));
  return 0;
}
