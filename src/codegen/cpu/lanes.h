// How lane loops become vectors: which values are scalars, which are linear in the lane, how wide a loop is and how
// often it is unrolled.
#pragma once

#include "codegen/cpu/level.h"
#include "ir/module.h"

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace opw::cpu {

enum class Shape : uint8_t {
  Uniform, ///< one value for all lanes: a scalar
  Linear,  ///< integer, base + lane * uniform stride modulo its width: kept as those two scalars
  Lanes,   ///< anything else: a vector
  Blocks,  ///< a scalar for each vector: the quotient of a linear value by a multiple of the width
  Steps,   ///< a scalar for each vector, + lane * uniform stride: such a remainder
  Flipped, ///< the variable of the lane loop with bits inverted: as an offset, whole vectors whose lanes are permuted
};

/// A lane loop as it will be emitted.
struct LoopForm {
  unsigned width = 1;           ///< lanes of a vector
  unsigned unroll = 1;          ///< vectors of an iteration of the main loop
  unsigned tailWidth = 1;       ///< lanes of an iteration of the tail: width (masked) or 1 (unmasked)
  std::optional<int64_t> trip;  ///< iterations where constant
  std::optional<int64_t> limit; ///< most iterations that there can be
};

struct LaneAnalysis {
  std::vector<Shape> shapes;                    ///< by value
  std::unordered_map<ir::OpId, LoopForm> loops; ///< of the lane loops
};

/// Range of an integer value, both ends inclusive.
struct Range {
  int64_t low, high;
};

/// The range of a value as far as constants tell.
std::optional<Range> rangeOf(const ir::Function &function, ir::ValueId value, unsigned depth = 8);
std::optional<int64_t> constantOf(const ir::Function &function, ir::ValueId value);

constexpr int64_t kMostLanes = 64; ///< of any vector of any level
/// The largest power of two, up to kMostLanes, that is known to divide a value: in a lane loop, its value at the first
/// lane of each vector, as far as that is as wide.
int64_t alignmentOf(const ir::Function &function, ir::ValueId value, unsigned depth = 12);

LaneAnalysis analyzeLanes(const ir::Function &function, const Level &level);

} // namespace opw::cpu
