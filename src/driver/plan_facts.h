// What explain.cpp asks about a plan: places in the source, what a pointer points into, what buffers hold, strides.
#pragma once

#include "codegen/cpu/lanes.h"
#include "ir/module.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace opw::driver {

class PlanFacts {
public:
  PlanFacts(const ir::Module &tile, const ir::Module &plan, const cpu::Level &level);

  const ir::Module &module;
  const ir::Function &fn;   ///< the plan
  const ir::Function &tile; ///< what it was made from
  const cpu::LaneAnalysis lanes;
  /// By buffer: its loads, stores and dots, those of twins left out.
  std::map<ir::OpId, std::vector<ir::OpId>> accesses;
  std::set<ir::ValueId> indices; ///< vectors that addresses and masks are made of

  /// The innermost position in the kernel's file, else the outermost that is known; line 0 where none is.
  std::pair<std::string, uint32_t> placeOf(ir::LocId id) const;

  /// What a pointer points into: a buffer, an argument, or neither is known.
  struct Root {
    ir::OpId buffer = ir::kNone;
    ir::ValueId argument = ir::kNone;
  };
  Root rootOf(ir::ValueId pointer) const;
  /// "x_ptr", "buffer scores" or "memory".
  std::string targetText(ir::ValueId pointer) const;

  /// The place of the tile value that a buffer holds.
  ir::LocId contentOf(ir::OpId buffer) const;
  const std::string &bufferName(ir::OpId buffer) const { return bufferNames.at(buffer); }

  /// Whether the load or store of the tile IR at this place has a mask.
  bool isMaskedAt(ir::LocId place) const { return maskedAt.contains(place); }
  /// An `if` between a nest and its twin for overlapping arguments: the planner puts it at the place of a store.
  bool isGuard(const ir::Op &op) const { return op.kind == ir::OpKind::If && storesAt.contains(op.location); }

  /// How many elements a value that is linear in the lane moves on from lane to lane; nothing where only the run knows.
  std::optional<int64_t> strideOf(ir::ValueId value) const;

private:
  const std::string home; ///< the kernel's file
  std::set<ir::LocId> maskedAt, storesAt;
  std::map<ir::OpId, std::string> bufferNames;

  ir::LocId ownOf(ir::LocId id) const; ///< the location that placeOf tells of
  std::string nameAt(ir::LocId id) const;
  void recallTile();
  void findUses();
  void takeIndices(ir::ValueId value);
  void nameBuffers();
};

} // namespace opw::driver
