/* The C library's memcpy, called as a C program would. */
#include <stddef.h>
#include <string.h>

void copy(void *out, const void *in, size_t bytes) { memcpy(out, in, bytes); }
