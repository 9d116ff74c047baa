// One loop nest under construction, and the evaluation of virtual tile values inside it.
//
// Level 0 is the block around the nest, level k the body of its k-th loop. An op goes to the deepest level that its
// operands come from, so what does not vary in an inner loop is computed before it. The planner's own builder stays at
// level 0: a loop is appended when it is closed, so scalars that are made meanwhile come before it.
#pragma once

#include "passes/plan/planner.h"

#include <map>
#include <set>

namespace opw::passes {

/// One plan index (i64) per dimension of a tile.
using Indices = std::vector<ir::ValueId>;

class Nest {
public:
  explicit Nest(Planner &planner);

  /// Opens a loop inside the current one and returns its variable. `carried` are initial values, `combine` names one op
  /// per carried value of a lane loop.
  ir::ValueId open(ir::ValueId lo, ir::ValueId hi, bool lane, std::vector<ir::ValueId> carried = {},
                   const std::vector<std::string> &combine = {});
  /// The current loop's carried values inside its body.
  std::vector<ir::ValueId> carried() const;
  /// Ends the innermost loop, which yields these values, and returns its results, valid one level up.
  std::vector<ir::ValueId> close(const std::vector<ir::ValueId> &yields = {});

  /// Element of a tile (or the scalar) at an index, one per dimension.
  ir::ValueId eval(ir::ValueId tileValue, const Indices &at);
  /// Goes to the innermost loop that an operand comes from, and at least to the loop of that number.
  ir::ValueId emit(ir::OpKind kind, std::vector<ir::ValueId> operands, ir::Type type, ir::Attributes attributes = {},
                   size_t least = 0);
  /// `shape` is that of the tile, which `at` indexes.
  void store(const Buffer &buffer, const Indices &at, const ir::Type &shape, ir::ValueId value);
  ir::ValueId load(const Buffer &buffer, const Indices &at, const ir::Type &shape);
  /// The row-major position that these indices of a shape stand for, where it is known as one value; else kNone.
  ir::ValueId position(const Indices &at, const ir::Type &shape) const;
  void setPosition(const Indices &at, const ir::Type &shape, ir::ValueId position);
  /// The pointer that offsets of the form count from.
  ir::ValueId base(const Form &form, const Indices &at);
  /// Offset of the element from that base, in elements.
  ir::ValueId offset(const Form &form, const Indices &at);
  /// The mask as an i1 element, kNone when it is implied by the bounds of the nest; `proved` is raised to the innermost
  /// loop whose bounds imply a part of it.
  ir::ValueId condition(const Mask &mask, const Indices &at, size_t *proved = nullptr);
  /// An op with an effect, which stays in the innermost loop; the first one has a result.
  ir::ValueId effect(ir::OpKind kind, std::vector<ir::ValueId> operands, ir::Type type, ir::Attributes attributes = {});
  void effect(ir::OpKind kind, std::vector<ir::ValueId> operands, ir::Attributes attributes);
  /// Emits a store through a pointer at the innermost level.
  void storeMemory(ir::ValueId base, ir::ValueId offset, ir::ValueId value, ir::ValueId mask);

  /// Fetches the cache line of a place that will be stored to.
  void prefetch(ir::ValueId base, ir::ValueId offset);
  /// Bounds that hold for the nest's own dimensions: loads under the same bounds need no mask.
  void assume(const Indices &at, const std::vector<Bound> &box);
  /// Reads of these loads come from these buffers instead of memory.
  void redirect(ir::ValueId load, Buffer from) { redirected[load] = std::move(from); }
  /// Wherever this value is computed, it is also written to the buffer.
  void alsoStore(ir::ValueId value, Buffer into) { sinks[value] = std::move(into); }

  /// Says that an index is group * panel + lane, so that a panel's address is made of its parts.
  void splitIndex(ir::ValueId index, ir::ValueId group, ir::ValueId lane) { parts[index] = {group, lane}; }
  /// Computes a combine region: its block arguments stand for `arguments`; returns what it returns. `known` gives plan
  /// values for some of its results.
  std::vector<ir::ValueId> evalRegion(ir::BlockId block, const std::vector<ir::ValueId> &arguments,
                                      std::map<ir::ValueId, ir::ValueId> known = {});
  /// Whether evalRegion can: arithmetic and conditionals alone, which become selects.
  static bool canEvalRegion(const ir::Function &fn, ir::BlockId block);
  /// Runs a region of any scalar ops in the innermost loop, which must not be a lane loop.
  std::vector<ir::ValueId> runRegion(ir::BlockId block, const std::vector<ir::ValueId> &arguments);

  /// Indices of a tile that is indexed through a map.
  Indices through(const DimMap &dims, const Indices &at);

  ir::ValueId add(ir::ValueId a, ir::ValueId b);
  ir::ValueId mul(ir::ValueId a, ir::ValueId b);

private:
  struct Level {
    ir::BlockId block;
    ir::OpId loop;
  };
  Planner &p;
  std::vector<Level> levels;
  std::map<ir::ValueId, size_t> levelOf;
  std::map<std::pair<ir::ValueId, Indices>, ir::ValueId> memo;
  std::vector<std::pair<ir::ValueId, Bound>> assumed; ///< index value and its bound
  std::map<ir::ValueId, Buffer> redirected, sinks;
  std::set<ir::ValueId> read; ///< loads that this nest has seen
  std::map<ir::ValueId, std::pair<ir::ValueId, ir::ValueId>> parts;
  std::map<std::pair<Indices, std::vector<uint8_t>>, ir::ValueId> positions;

  size_t level(ir::ValueId value) const;
  ir::ValueId evalOp(ir::ValueId value, const ir::Op &op, const Indices &at);
  ir::ValueId evalLoad(ir::ValueId value, const ir::Op &op, const Indices &at);
  ir::ValueId bufferOffset(const Buffer &buffer, const Indices &at, const ir::Type &shape);
  std::vector<ir::ValueId> evalBlock(ir::BlockId block, std::map<ir::ValueId, ir::ValueId> &values);
};

/// Opens the loops over a shape: `lane` (or none, -1) innermost, or outermost but one of `innermost` where that
/// dimension is to be reduced and is left to the caller. Loops run over the box. Extents of 1 have no loop.
Indices openLoops(Nest &nest, Planner &planner, const ir::Type &shape, int lane, const std::vector<Bound> &box = {},
                  int skip = -1);
/// One loop over all elements in row-major order, its position known to the nest: for tiles whose dimensions are
/// shorter than a vector, as those of a sort.
Indices openFlat(Nest &nest, Planner &planner, const ir::Type &shape);
/// Bounds of a dimension: the box cut with the extent.
std::pair<ir::ValueId, ir::ValueId> boundsOf(Planner &planner, const ir::Type &shape, unsigned dim,
                                             const std::vector<Bound> &box);
/// Which dimension of the shape is the lane axis of a nest that computes these values (and stores through the pointer).
int chooseLane(Planner &planner, const std::vector<ir::ValueId> &roots, const ir::Type &shape, ir::ValueId pointer);

} // namespace opw::passes
