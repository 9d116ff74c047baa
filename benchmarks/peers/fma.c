/* The most that one core does: fp32 multiply-adds on registers alone, in enough independent chains to fill its units.
 */
#include <stdint.h>

#ifdef __AVX512F__
enum { kLanes = 16 };
#else
enum { kLanes = 8 };
#endif
enum { kChains = 12 };
typedef float vector __attribute__((vector_size(kLanes * 4)));

/* Named variables, not an array: a compiler may keep an array in memory. */
#define EACH_CHAIN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

/* Does `rounds` rounds and writes out[1..lanes]; returns the operations done: lanes * chains * 2 a round. */
int64_t multiplyAdd(int64_t rounds, float *out) {
  vector scale, step;
  for (int lane = 0; lane < kLanes; ++lane) {
    scale[lane] = 0.5f + out[0];
    step[lane] = 0.25f + out[0];
  }
#define START(n) vector sum##n = step * (float)n;
  EACH_CHAIN(START)
  for (int64_t round = 0; round < rounds; ++round) {
#define STEP(n) sum##n = sum##n * scale + step;
    EACH_CHAIN(STEP)
  }
  vector all = {0};
#define ADD(n) all += sum##n;
  EACH_CHAIN(ADD)
  for (int lane = 0; lane < kLanes; ++lane)
    out[1 + lane] = all[lane];
  return rounds * kLanes * kChains * 2;
}
