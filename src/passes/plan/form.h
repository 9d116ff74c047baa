// Access forms: what is known of a tile of integers or pointers, and masks as boxes.
//
//   element(i) = base + sum over d of stride[d] * i[d] + sum over terms of scale * term(i)
//
// base and strides are plan scalars (i64, or a pointer), uniform in the program. A term is an integer tile without such
// structure, evaluated element by element in its own width, where it wraps. i32 chains that are affine are evaluated in
// i64: where one wraps inside a tile, the address goes on instead (docs/operations.md).
#pragma once

#include "ir/module.h"

#include <optional>
#include <vector>

namespace opw::passes {

/// Maps the dimensions of a smaller tile to those of the tile it was expanded to; -1: index 0.
using DimMap = std::vector<int>;

/// How a shape op (splat, expand_dims, broadcast, trans, simple reshape) indexes its operand: for each dimension of the
/// operand the dimension of the result, or -1. False for any other op, and for a reshape that regroups elements.
bool shapeMap(const ir::Function &fn, const ir::Op &op, DimMap &map);
/// Each dimension to itself.
DimMap identity(unsigned rank);
/// The map of `inner` followed by that of `outer`.
DimMap compose(const DimMap &inner, const DimMap &outer);

struct Term {
  ir::ValueId tile;
  DimMap dims;
  ir::ValueId scale; ///< plan i64
  bool operator==(const Term &) const = default;
};

/// An element of a tile that is smaller than the nest, or turned.
struct Element {
  ir::ValueId tile;
  DimMap dims;
  bool operator==(const Element &) const = default;
};

struct Form {
  ir::ValueId base = ir::kNone;     ///< kNone where `from` has a value
  std::vector<ir::ValueId> strides; ///< one per dimension; kNone = 0
  std::vector<Term> terms;
  /// A tile of pointers without a common base: the base is its element.
  std::optional<Element> from{};
  bool isUniform() const;
  /// Base, and strides that every index has in common.
  bool isAffine() const { return terms.empty() && !from; }
};

/// lo <= index[dim] < hi; kNone = open. Plan scalars of type i64.
struct Bound {
  unsigned dim;
  ir::ValueId lo, hi;
  /// The compare that it comes from cannot wrap in its own type: that is known, or was required where the compare
  /// stands, as it is for masks of loads and stores. Other compares are evaluated element by element.
  bool exact = false;
  bool operator==(const Bound &) const = default;
};

/// A boolean tile as a conjunction: a box and conditions that are evaluated element by element.
struct Mask {
  std::vector<Bound> box;
  std::vector<Element> rest;
};

} // namespace opw::passes
