// How Triton prints each op: one row of text per op. The reader (ops.cpp) follows the row piece by piece.
#pragma once

#include "ir/ops.h"

#include <string_view>

namespace opw::ttir {

/// Which operands the types in the text belong to.
enum class Typed : uint8_t {
  Each,   ///< the first type is that of the first operand, and so on
  All,    ///< one type for all operands
  Rest,   ///< as Each, from the second operand on
  Select, ///< one type: of the two values; two types: of the condition and of the values
};

/// Where the types of results come from.
enum class Results : uint8_t {
  None,
  Text,    ///< written
  Twice,   ///< written once for two results
  First,   ///< the first type in the text
  Last,    ///< the last type in the text
  Mask,    ///< i1 in the shape of the first
  Pointee, ///< what the first type points to
  Element, ///< the element of the first
};

/// Pieces of a row, separated by blanks:
///   $        an operand              ?$       optionally a comma and an operand
///   $*       operands by commas      [$*]     the same in brackets
///   =name    a word, the attribute of that name          ?=name  optionally ", name = word"
///   'name    a string attribute      @name    a symbol attribute
///   ?name    optionally that word, a unit attribute       |name   words joined by |, an attribute
///   dict     optionally {attributes} flags    optionally overflow<..>, fastmath<..>, a rounding word
///   hints    optionally cacheModifier = word, evictionPolicy = word, and unit words
///   t  t*    type(s) of operands     r  r*    type(s) of results
///   :t*      a colon and types where there are operands   fn      (types of operands) -> types of results
///   <ptr> <block> <desc>  the part in angle brackets of !tt.ptr (operand), !tt.ptr (result), !tt.tensordesc (result)
///   timeout$ optionally the word and an operand
///   others   stand for themselves
struct Format {
  std::string_view text; ///< empty: the op has a form of its own, or prints generically
  Typed typed = Typed::Each;
  Results results = Results::None;
};

Format formatOf(ir::OpKind kind);

/// Enumerators that generic forms print as numbers: the attribute's name there and in the IR, the number of the first
/// word.
struct Enumeration {
  std::string_view name;
  std::string_view irName;
  int64_t first;
  std::string_view words; ///< separated by blanks
};

/// The enumeration of that attribute of an op, or null.
const Enumeration *enumerationOf(ir::OpKind kind, std::string_view attribute);

} // namespace opw::ttir
