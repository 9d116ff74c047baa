// One call, resolved: what programs, shapes and launches of the op read.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

constexpr uint32_t kMaxAttrs = 128;
constexpr uint32_t kMaxTypevars = 64;

/// What tensor `index` of a call is declared as, and its number: the last one declared stands for all that follow, for
/// only a variadic one has such.
constexpr uint32_t declaredOf(uint32_t declared, size_t index) {
  return index < declared ? static_cast<uint32_t>(index) : declared - 1;
}
inline const opw_io_t &ioOf(const opw_io_t *const *ios, uint32_t declared, size_t index) {
  return *ios[declaredOf(declared, index)];
}
inline const opw_io_t &inputOf(const opw_op_t *op, size_t index) { return ioOf(op->inputs, op->input_count, index); }
inline const opw_io_t &outputOf(const opw_op_t *op, size_t index) { return ioOf(op->outputs, op->output_count, index); }

struct OpState;

union Slot {
  int64_t i;
  double f;
};

/// Why a value does not exist, and where that came up: code | instruction << 8 | (var + 1) << 20. 0 = the value exists.
using Poison = uint32_t;
enum PoisonCode : uint32_t { kFine, kOverflow, kDivideByZero, kOutOfRange, kNotANumber, kAbsent, kUnknown };

struct Value {
  Slot slot;
  Poison poison;
  uint32_t isFloat;
};

/// The addresses that a view may touch.
struct Span {
  uintptr_t begin, end;
  bool empty() const { return begin == end; }
};

struct Frame {
  const opw_op_t *op;
  OpState *state;
  const opw_call_t *call;
  const opw_tensor_t *const *inputs; // as spelled out by the caller
  opw_tensor_t *const *outputs;
  uint32_t inputCount, outputCount;
  bool infer;      // sizes may be unknown, outputs are not there yet
  bool sizesKnown; // phase 0 has run: data-dependent sizes can be read
  bool sizesBound; // until then, as long as this is set: they are their upper bounds
  uint32_t combo;
  Span spans[2 * OPW_MAX_TENSORS]; // of inputs, then outputs, whose memory has been looked at
  const opw_attr_value_t *attrs[kMaxAttrs];
  Value vars[OPW_MAX_VARS];

  /// A tensor by its number in programs; null when absent. `element` counts those of a variadic input.
  const opw_tensor_t *tensor(uint32_t number, uint32_t element = 0) const {
    if (number < op->input_count)
      return number + element < inputCount ? inputs[number + element] : nullptr;
    number -= op->input_count;
    return number < outputCount && outputs ? outputs[number] : nullptr;
  }
  uint8_t dtype(uint32_t typevar) const { return op->combos[combo * op->typevar_count + typevar]; }
};

} // namespace opw::runtime
