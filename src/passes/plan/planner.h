// The state of one lowering from tile IR to plan IR. Internal to passes/plan.
//
// The idea. Tile ops fall into two kinds. *Virtual* values (ranges, splats, shape ops, cheap arithmetic, most loads)
// are computed at single elements wherever somebody needs them. *Anchors* (stores, reductions, dots, loop yields) are
// what somebody needs: each becomes a loop nest that pulls its virtual operands element by element (nest.h). In between
// stand values that are worth a buffer (placement.h). So fusion is what happens when nothing forbids it, and a buffer
// is a decision.
//
// Three facts are kept per value: the plan scalar (rank 0), the access form (integers and pointers, form.h) or mask
// (booleans), and the buffer, if any.
#pragma once

#include "ir/builder.h"
#include "ir/module.h"
#include "passes/lower_to_plan.h"
#include "passes/plan/form.h"
#include "passes/plan/placement.h"
#include "passes/refusal.h"
#include "support/check.h"

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

namespace opw::passes {

/// Where the elements of a tile lie in scratch: offset = sum of index * stride over the dimensions, but for the
/// dimension `panelDim` (if any), which is cut into panels of `panel` lanes: (i / panel) * panelStride + i % panel.
struct Buffer {
  ir::ValueId pointer = ir::kNone;
  ir::Type type = ir::Type::scalar(ir::Elem::F32); ///< of an element
  std::vector<int64_t> strides{};
  int panelDim = -1;
  int64_t panel = 0, panelStride = 0;
  /// The dimension with stride 1, -1 for none.
  int laneDim() const;
  bool isRowMajor(const ir::Type &shape) const;
};

/// How the two operands of a dot are laid out: `rows` are broadcast, `lanes` are vectors.
struct DotPlan {
  bool transposed = false; ///< the lanes run along M: C is kept as its transpose
  bool micro = false;      ///< f32 micro-kernel; else a plain nest
  int64_t panel = 0;
  bool inPlace = false; ///< C is the buffer of the loop-carried accumulator
  ir::ValueId carried = ir::kNone;
  ir::ValueId scale = ir::kNone; ///< rank-1 or scalar factor of the accumulator, a tile value
  unsigned scaleDim = 0;         ///< the dimension of C along which the factor varies
};

/// A dot operand, converted and laid out: for which side, with the lanes along which dimension, in panels of how many.
struct PackKey {
  ir::ValueId value;
  bool lanesSide;
  unsigned lane = 0;
  int64_t panel = 0;
  auto operator<=>(const PackKey &) const = default;
};

class Nest;

class Planner {
public:
  Planner(const ir::Module &module, const ir::Function &tile, const PlanOptions &options);
  ir::Function run();

  // --- shared by the parts; everything below is internal to passes/plan ---
  const ir::Module &module;
  const ir::Function &tile;
  const PlanOptions &options;
  ir::Function plan;
  ir::Builder builder;
  Placement placement;
  std::vector<ir::ValueId> scalars;           ///< tile value -> plan value, rank 0
  std::vector<std::optional<Form>> forms;     ///< integer and pointer tiles
  std::vector<std::optional<Mask>> masks;     ///< i1 tiles
  std::vector<std::optional<Buffer>> buffers; ///< tiles that live in scratch, once written
  std::unordered_map<ir::OpId, DotPlan> dots;
  std::vector<bool> lowered;      ///< ops that were lowered ahead of their turn
  std::vector<bool> guardsAccess; ///< values that decide which elements are loaded or stored
  std::vector<bool> addresses;    ///< values that the addresses of loads and stores are made of
  std::vector<bool> blockwise;    ///< quotients and remainders that are one, or count up, in a whole vector
  std::map<PackKey, Buffer> packs;
  std::vector<std::pair<ir::ValueId, ir::ValueId>> loops; ///< variable and step of the enclosing loops, as plan values
  std::vector<unsigned> timesRead;                        ///< nests that have read a load so far
  bool inTwin = false;          ///< nests that only have to be right: sequential loops, little code
  ir::OpId current = ir::kNone; ///< the tile op being lowered, for diagnostics

  [[noreturn]] void refuse(ir::OpId op, std::string message, std::string hint = {}) const;

  // scalars.cpp: plan scalars at the current place, folded where constant
  ir::ValueId constant(int64_t value, ir::Elem elem = ir::Elem::I64);
  ir::ValueId constantLike(const ir::Attribute &value, ir::Type type);
  bool isConstant(ir::ValueId plan, int64_t &value) const;
  bool isConstantEqual(ir::ValueId plan, int64_t value) const;
  ir::ValueId add(ir::ValueId a, ir::ValueId b);
  ir::ValueId sub(ir::ValueId a, ir::ValueId b);
  ir::ValueId mul(ir::ValueId a, ir::ValueId b);
  ir::ValueId minimum(ir::ValueId a, ir::ValueId b);
  ir::ValueId maximum(ir::ValueId a, ir::ValueId b);
  ir::ValueId compare(const char *predicate, ir::ValueId a, ir::ValueId b);
  ir::ValueId select(ir::ValueId condition, ir::ValueId a, ir::ValueId b);
  ir::ValueId extend(ir::ValueId integer); ///< sign-extended to i64
  ir::ValueId scalar(ir::ValueId tileValue) const;

  // form.cpp
  void defineForm(const ir::Op &op);
  Form formOf(ir::ValueId tileValue); ///< total: a value without structure is a term of itself

  // mask.cpp
  void defineMask(const ir::Op &op);
  Mask maskOf(ir::ValueId tileValue);
  ir::ValueId distance(ir::ValueId b, ir::ValueId a, ir::Elem elem);
  ir::ValueId wrapped(ir::ValueId sum, ir::Elem elem);
  void requireNoWrap(ir::ValueId base, ir::Elem elem, int64_t count);
  int countsAlong(const Form &form) const;
  bool startsSmall(const Form &form) const;
  /// Whether a plan scalar is a multiple of a power of two whatever the arguments are.
  bool isMultiple(ir::ValueId value, int64_t factor, unsigned depth = 8) const;

  // division.cpp: makes a quotient or remainder in an address blockwise, where it can be, and guards it
  void guardDivision(const ir::Op &op);

  // prefetch.cpp: the pointer's value in a later iteration or program; kNone when it does not depend on it
  ir::ValueId advanced(ir::ValueId base);

  // nest.cpp: buffers
  /// A fresh buffer of the tile's shape with that dimension innermost (-1: the last one).
  Buffer makeBuffer(ir::ValueId tileValue, int laneDim);
  Buffer makeBuffer(ir::ValueId tileValue, int laneDim, ir::Type element);
  ir::ValueId allocate(ir::Type element, int64_t elements);
  int naturalLane(ir::ValueId tileValue);
  void materialize(ir::ValueId tileValue, const Buffer &into);
  /// The buffer of a value, filled here if it has none; what is filled inside a LazyScope is forgotten at its end.
  const Buffer &keep(ir::ValueId tileValue);
  void pack(const PackKey &key, const Buffer &buffer);

  // store.cpp: order of memory
  /// Fails if a write that may change what this load reads has been lowered although the load comes before it.
  void checkFresh(ir::OpId load) const;
  void rememberWrites(ir::OpId op);
  void keepLoads(const std::vector<ir::ValueId> &values, ir::ValueId pointer);

  // store.cpp, reduce.cpp, dot.cpp, elements.cpp, effects.cpp, control.cpp: lowering of ops in order
  void lowerBlock(ir::BlockId block);
  void lowerOp(ir::OpId op);
  void lowerScalarOp(const ir::Op &op);
  void lowerStore(ir::OpId id);
  /// `fills`: a value that is due for a buffer here and may get it in this reduction's nest.
  void lowerReduce(ir::OpId id, ir::ValueId fills = ir::kNone);
  ir::OpId reductionToDoWith(ir::ValueId value);
  void planDots();
  void lowerDot(ir::OpId id);
  void packOperand(ir::ValueId value, ir::OpId dot, bool lanesSide);
  void packsDefinedBy(ir::OpId id);
  std::vector<std::pair<ir::ValueId, ir::OpId>> fusiblePacks(ir::OpId reduce);
  void lowerScan(ir::OpId id);
  void lowerGather(ir::OpId id);
  void lowerHistogram(ir::OpId id);
  void lowerMapElementwise(ir::OpId id);
  void lowerAtomic(ir::OpId id);
  void lowerPrint(ir::OpId id);
  void lowerAssert(ir::OpId id);
  void lowerFor(ir::OpId id);
  void lowerIf(ir::OpId id);
  void lowerWhile(ir::OpId id);
  Buffer startCarried(ir::ValueId carried, ir::ValueId init);
  void assignCarried(const std::vector<std::pair<ir::ValueId, Buffer>> &assignments);

private:
  friend class LazyScope;
  std::vector<ir::ValueId> kept;
  std::vector<PackKey> packed;
  /// A lowered write, and the position before which loads must have been done.
  std::vector<std::pair<ir::OpId, unsigned>> written;
  std::vector<ir::OpId> constantOps;
  std::unordered_map<uint64_t, ir::ValueId> constantCache[ir::kElemCount];
  std::unordered_map<ir::ValueId, int64_t> constantValues;
  /// Starts of blocks that were tested: in which plan block, and the last one allowed.
  std::set<std::tuple<ir::BlockId, ir::ValueId, int64_t>> inRange;
  ir::ValueId fold(ir::OpKind kind, ir::ValueId a, ir::ValueId b);
};

/// Code that may not run (a branch, the body of a loop): buffers that are filled inside on demand are not there after
/// it.
class LazyScope {
public:
  explicit LazyScope(Planner &planner) : p(planner), kept(planner.kept.size()), packed(planner.packed.size()) {}
  LazyScope(const LazyScope &) = delete;
  LazyScope &operator=(const LazyScope &) = delete;
  ~LazyScope();

private:
  Planner &p;
  size_t kept, packed;
};

} // namespace opw::passes
