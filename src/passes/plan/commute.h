// Whether the order of its elements matters to a reduction.
#pragma once

#include "passes/plan/planner.h"

namespace opw::passes {

/// A proof that combine(a, b) = combine(b, a) for a combine function that compares and selects, as argmax and argmin
/// do: for each way in which the pairs of operands can be ordered it takes the same element of the same side. It holds
/// unless an element of one of `floats` (positions of operands) is NaN. Nothing when there is no such proof.
///
/// Operands whose elements all differ along `axis`, as the positions of an argmax, are never taken to be equal.
struct Commutes {
  std::vector<size_t> floats;
  /// Results of compares of positions, as they are where the first side's element stands before the second's.
  std::vector<std::pair<ir::ValueId, bool>> decided;
};
std::optional<Commutes> provedToCommute(Planner &planner, const ir::Op &reduce, unsigned axis);

} // namespace opw::passes
