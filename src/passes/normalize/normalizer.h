// The state of one normalization: a new function is written while the old ones are read. Internal to passes/normalize.
#pragma once

#include "ir/builder.h"
#include "ir/module.h"
#include "support/diagnostic.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opw::passes {

using Values = std::vector<ir::ValueId>;

/// Of regions, calls and branches in each other; every stage follows them by recursion.
inline constexpr size_t kMaxDepth = 500;

/// A block pointer or descriptor, taken apart. All scalars of the new function.
struct BlockView {
  ir::ValueId base;
  Values shape, strides;  ///< i64, one per dimension
  Values offsets;         ///< i64, one per dimension; a descriptor has none of its own
  ir::ValueId nanOutside; ///< i1: what is read outside is NaN, not 0; kNone for a block pointer
};

class Meetings;

/// Tiles of pointers and of booleans for the elements of a block.
struct Place {
  ir::ValueId pointers, inside; ///< inside may be kNone: every element is
};

class Normalizer {
public:
  explicit Normalizer(const ir::Module &source);
  ir::Module run(const ir::Function &entry);

private:
  /// A function that is being copied into the new one. A block pointer or descriptor stands for several new values.
  struct Frame {
    const ir::Function *fn;
    std::vector<Values> values;
    const Frame *caller = nullptr;
    ir::LocId callSite = ir::kNone;
    std::shared_ptr<Meetings> meetings; ///< of its blocks; made by the first branch
    std::vector<bool> running;          ///< blocks whose copy has begun and not ended
  };

  const ir::Module &source;
  ir::Module target;
  ir::Function out;
  ir::Builder b;
  std::map<std::pair<ir::LocId, ir::LocId>, ir::LocId> inlined;
  size_t budget = 0;       ///< ops that may still be made
  bool ofElements = false; ///< in a function that combines or maps single elements
  size_t depth = 0;        ///< regions, calls and branches that are being copied, one inside the other

  [[noreturn]] void refuse(const Frame &frame, const ir::Op &op, std::string message, std::string hint) const;

  [[noreturn]] void refuseDepth(const Frame &frame, const ir::Op &op) const;
  void goDeeper(const Frame &frame, const ir::Op &op) {
    if (++depth > kMaxDepth)
      refuseDepth(frame, op);
  }

  // clone.cpp
  Frame enter(const ir::Function &fn);
  ir::LocId locate(const Frame &frame, ir::LocId location);
  ir::ValueId one(const Frame &frame, ir::ValueId value) const;
  Values all(const Frame &frame, const std::vector<ir::ValueId> &values) const;
  void cloneOp(Frame &frame, ir::OpId id);
  void clonePlain(Frame &frame, const ir::Op &op);
  void cloneStructured(Frame &frame, const ir::Op &op);
  void call(Frame &frame, const ir::Op &op);
  void cat(Frame &frame, const ir::Op &op);
  void volatileLoad(Frame &frame, const ir::Op &op);
  ir::ValueId poison(ir::Type type);
  std::vector<ir::Type> partsOf(const ir::Type &type) const;
  void bind(Frame &frame, const std::vector<ir::ValueId> &values, const Values &parts);

  // flip.cpp
  bool flip(Frame &frame, const ir::Op &op);

  // dot_scaled.cpp
  void dotScaled(Frame &frame, const ir::Op &op);
  ir::ValueId unpackE2m1(ir::ValueId packed, unsigned dim);
  ir::ValueId spreadScale(ir::ValueId scale, unsigned log2depth);
  ir::ValueId swapped(ir::ValueId tile, unsigned x, unsigned y);
  ir::ValueId splatOf(int64_t value, const ir::Type &shape);

  // branches.cpp
  /// Copies the ops from `block` on until `stop` is reached, and returns what is handed to it: the values of its
  /// arguments, or the operands of the terminator that ends the region where `stop` is kNone.
  Values runBlocks(Frame &frame, ir::BlockId block, ir::BlockId stop);
  Values branch(Frame &frame, const ir::Op &op, ir::BlockId block, ir::BlockId stop);
  Values goTo(Frame &frame, ir::BlockId block, const Values &handed, ir::BlockId stop);

  // blocks.cpp: block pointers and descriptors
  bool cloneBlockOp(Frame &frame, const ir::Op &op);
  Values hostDescriptor(const Frame &frame, const ir::Function &entry, size_t index, ir::ValueId nanOutside);
  BlockView blockOf(const Frame &frame, ir::ValueId value) const;
  Place placeOf(const BlockView &block, const ir::Type &tile, const Values &offsets, const std::vector<bool> &checked);
  Place rowsOf(const BlockView &block, const ir::Type &tile, ir::ValueId rows, ir::ValueId column);
  ir::ValueId readPlace(const Place &place, const ir::Type &tile, ir::ValueId nanOutside);
  ir::ValueId alongDimension(ir::ValueId tile, unsigned dim, const ir::Type &shape);
  ir::ValueId bounded(ir::ValueId offsets, ir::ValueId size);
  ir::ValueId wide(ir::ValueId integer);
  ir::ValueId splat(ir::ValueId scalar, const ir::Type &shape);
  ir::ValueId reshaped(ir::ValueId tile, const ir::Type &type);
};

} // namespace opw::passes
