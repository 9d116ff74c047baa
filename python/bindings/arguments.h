// Reads the arguments of a Triton launch (Python objects in declaration order) into the slots of a CPU kernel.
#pragma once

#include <Python.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opw::python {

enum class ParamKind : uint8_t {
  Constant,   ///< part of the code: takes no slot
  Pointer,    ///< an integer, or an object with data_ptr()
  Integer,    ///< `bits` wide, sign-extended in its slot
  Float,      ///< raw bits of the type in the low part of its slot
  Tuple,      ///< `members`, one after the other
  Descriptor, ///< base pointer, then `rank` sizes and `rank` strides, then 1 where NaN is read outside, else 0
};

struct Param {
  ParamKind kind = ParamKind::Constant;
  uint8_t bits = 0;
  bool isSigned = false;
  bool brain = false; ///< bf16 rather than fp16
  unsigned rank = 0;
  std::string name; ///< as in messages: "x_ptr", "shape[1]"
  std::string type; ///< Triton's spelling: "*fp32", "i32", "constexpr"
  std::vector<Param> members;

  /// Slots that it fills.
  unsigned slots() const;
};

/// Reads one entry of a signature: a str, or a tuple of entries. On failure sets a Python error and returns false.
bool parseParam(PyObject *type, std::string name, Param &param);

/// Writes the slots of one argument and moves `out` past them. On failure sets a Python error and returns false.
/// `kernel` is for the message.
bool readArgument(const Param &param, const std::string &kernel, PyObject *value, uint64_t *&out);

/// A double rounded to nearest even into a format with that many bits of exponent and mantissa; too large becomes
/// infinity.
uint64_t roundToFormat(double value, int exponentBits, int mantissaBits);

} // namespace opw::python
