/* What a test and the program under the emulator tell each other through pipes: a call, its slots, its regions of
 * memory and their bytes; then the answer and the bytes again. Both are little-endian machines with the same
 * alignments. */
#pragma once

#include <stdint.h>

typedef struct emulated_call_t {
  uint32_t flags, grid[3];
  int64_t low, high; /* programs */
  uint64_t epoch, scratch_bytes;
  uint32_t slots, regions, threads, reserved;
} emulated_call_t;

typedef struct emulated_slot_t {
  uint64_t value; /* of a pointer: its address where the test runs */
  int64_t region; /* that a pointer points into; -1: it is none */
} emulated_slot_t;

typedef struct emulated_region_t {
  uint64_t address, bytes;
} emulated_region_t;

typedef struct emulated_answer_t {
  int32_t status, failed;
} emulated_answer_t;
