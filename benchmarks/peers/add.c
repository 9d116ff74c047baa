/* The loop that a person would write for out = x + y. */
#include <stdint.h>

void add(float *restrict out, const float *restrict x, const float *restrict y, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    out[i] = x[i] + y[i];
}
