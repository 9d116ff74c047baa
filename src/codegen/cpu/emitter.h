// The emitter of one plan function, shared by the files of this folder, the only ones that see LLVM.
//
// A plan value is emitted as a scalar, or inside a lane loop as `parts` vectors of `width` lanes (lanes.h). f16, bf16
// and the 8-bit floats live in integers of their width and are converted around arithmetic, so that no conversion ever
// becomes a call.
#pragma once

#include "codegen/cpu/debug_info.h"
#include "codegen/cpu/emit.h"
#include "codegen/cpu/lanes.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace opw::cpu {

namespace libdevice {
struct Symbol;
}

/// Thrown inside this folder only, caught by emit().
struct Refusal {
  Diagnostic diagnostic;
};

using Parts = llvm::SmallVector<llvm::Value *, 4>;

/// What stands for a plan value at the place that is being emitted.
struct Slot {
  llvm::Value *scalar = nullptr;    ///< Uniform: the value; Linear: that of lane 0 of part 0
  llvm::Value *stride = nullptr;    ///< Linear, Steps
  uint64_t flip = 0;                ///< Flipped: the bits that are inverted
  Parts parts;                      ///< Lanes; of another value once it was needed as vectors
  llvm::BasicBlock *home = nullptr; ///< block that made the parts of a value that is not Lanes
  Parts bases;                      ///< Blocks, Steps: the scalar of each part
};

/// The iteration of a lane loop that is being emitted; width 0 outside of lane loops.
struct LaneContext {
  unsigned width = 0;
  unsigned parts = 1;
  Parts active; ///< lanes that take part, by part; empty = all
};

class Emitter {
public:
  Emitter(const ir::Module &source, const ir::Function &plan, const Level &level, const EmitOptions &options,
          llvm::Module &target);

  /// Writes the entry function into the target module.
  void run();
  uint64_t scratchBytes() const { return scratchEnd; }

private:
  const ir::Module &source;
  const ir::Function &fn;
  const Level &level;
  const EmitOptions &options;
  llvm::Module &target;
  llvm::LLVMContext &context;
  llvm::IRBuilder<> b;
  LaneAnalysis lanes;
  std::vector<Slot> slots; ///< by value
  LaneContext lane;
  const ir::Op *current = nullptr;  ///< for refusals
  std::unique_ptr<DebugInfo> debug; ///< with EmitOptions::debugInfo

  llvm::Function *entry = nullptr;
  llvm::Value *scratchMemory = nullptr, *epoch = nullptr, *streams = nullptr;
  using Ids = std::array<llvm::Value *, 3>; ///< of a program: x, y, z
  llvm::Value *grid[3] = {}, *programIndex = nullptr;
  Ids program{};
  llvm::Value *turns = nullptr;  ///< counts turns of loops that wait
  llvm::Value *launch = nullptr; ///< the launch block, where an op needs it
  uint64_t scratchEnd = 0;
  bool streamed = false;
  bool needsLaunch = false, canFail = false; ///< memos, prints; assertions and loops that wait
  unsigned usedAxes = 0;                     ///< a bit for each program id that the kernel asks for
  std::map<ir::OpId, uint64_t> bufferOffsets, memoOffsets;
  std::map<ir::OpId, llvm::MDNode *> bufferScopes; ///< alias.scope list of a buffer
  std::map<ir::OpId, llvm::MDNode *> bufferOthers; ///< noalias list of a buffer
  llvm::MDNode *argumentScope = nullptr, *argumentOthers = nullptr;
  std::map<std::string, llvm::Function *> kernels; ///< internal functions: micro-kernels by shape, the remainder

  [[noreturn]] void refuse(const std::string &message, const std::string &hint = {}) const;

  // programs.cpp
  void beginEntry(llvm::Function *function);
  void bindArguments();
  void describeArguments();
  Ids idsAt(llvm::Value *place);
  unsigned digitsInUse() const;
  Ids idsAfter(const Ids &ids, unsigned digits);
  llvm::Value *indexOf(const Ids &ids);

  // body.cpp: scratch, blocks and values
  void layOutScratch();
  void emitBlock(const ir::Block &block);
  void emitOp(ir::OpId id);
  void emitPure(const ir::Op &op);
  void emitLinear(const ir::Op &op);
  void emitFlipped(const ir::Op &op);
  void emitBlocks(const ir::Op &op);
  void emitSteps(const ir::Op &op);
  bool emitCheapCompare(const ir::Op &op);
  llvm::Type *typeOf(const ir::Type &type) const;
  llvm::Type *widen(llvm::Type *type, unsigned width) const;
  Shape shape(ir::ValueId value) const { return lanes.shapes[value]; }
  llvm::Value *uniform(ir::ValueId value);
  llvm::Value *part(ir::ValueId value, unsigned index);
  llvm::Value *splat(llvm::Value *scalar);
  llvm::Value *firstLane(ir::ValueId value, unsigned index); ///< of a part, but of Lanes
  llvm::Value *strideOf(ir::ValueId value);                  ///< between lanes, but of Lanes and Flipped
  Parts flatten(ir::ValueId value, Shape as);
  void bind(ir::ValueId value, Parts values);
  void bindUniform(ir::ValueId value, llvm::Value *scalar) { slots[value].scalar = scalar; }
  llvm::Value *iota(llvm::Type *element, unsigned start, int64_t stride = 1) const;
  llvm::Value *below(llvm::Value *count, unsigned index); ///< mask of the lanes of a part that are < count
  llvm::BasicBlock *newBlock(const char *name);

  // control.cpp
  void emitIf(const ir::Op &op);
  void emitWhile(const ir::Op &op);
  void emitSeqLoop(const ir::Op &op);
  void emitMemo(ir::OpId id);

  // lane_loop.cpp
  struct Carried;
  void emitLaneLoop(ir::OpId id);
  std::vector<Carried> carriedOf(const ir::Op &op);
  void startCarried(std::vector<Carried> &carried, unsigned width, unsigned count);
  void laneIteration(const ir::Op &loop, llvm::Value *position, std::vector<Carried> &carried);
  llvm::Value *laneStretch(const ir::Op &op, std::vector<Carried> &carried, llvm::Value *low, llvm::Value *high,
                           int64_t step, bool always, bool once);
  void laneTail(const ir::Op &op, std::vector<Carried> &carried, llvm::Value *low, llvm::Value *high, bool always);
  llvm::Value *fold(const Carried &carried);

  // memory.cpp
  struct Access;
  Access accessOf(const ir::Op &op, unsigned maskOperand, const ir::Type &type);
  void emitLoad(const ir::Op &op);
  void emitStore(const ir::Op &op);
  void emitPrefetch(const ir::Op &op);
  llvm::Value *loadPart(const Access &access, unsigned index, llvm::Value *mask, llvm::Value *other);
  void storePart(const Access &access, unsigned index, llvm::Value *value, llvm::Value *mask, bool stream);
  llvm::Value *startOf(const Access &access, unsigned index);
  llvm::Value *placeOf(const Access &access, unsigned index);
  llvm::Value *guardedLoad(const Access &access, llvm::Value *pointer, llvm::Value *mask, llvm::Value *other);
  void guardedStore(const Access &access, llvm::Value *pointer, llvm::Value *value, llvm::Value *mask);
  llvm::Value *maskOf(const Access &access, unsigned index);
  llvm::Instruction *tag(llvm::Instruction *access, const Access &of);
  // masked.cpp
  bool laneByLane(const Access &access, bool store) const;
  llvm::Value *eachActive(llvm::Value *mask, llvm::Value *start,
                          llvm::function_ref<llvm::Value *(llvm::Value *, llvm::Value *)> body);
  llvm::Value *loadActive(const Access &access, llvm::Value *place, llvm::Value *mask, llvm::Value *other);
  void storeActive(const Access &access, llvm::Value *place, llvm::Value *value, llvm::Value *mask);
  template <typename Then> void when(llvm::Value *condition, Then then);

  // atomic.cpp
  void emitAtomic(const ir::Op &op);
  llvm::Value *atomicOne(const ir::Op &op, llvm::Value *pointer, llvm::ArrayRef<llvm::Value *> values);
  llvm::Value *compareAndSwap(llvm::Value *pointer, llvm::Type *bits, llvm::AtomicOrdering order,
                              llvm::function_ref<llvm::Value *(llvm::Value *)> change);
  llvm::Value *poll(llvm::Value *pointer, llvm::Value *expected, llvm::Value *limit, llvm::AtomicOrdering order);

  // site.cpp
  void emitAssert(const ir::Op &op);
  void emitPrint(const ir::Op &op);
  llvm::Constant *siteOf(const ir::Op &op, const std::string &text, unsigned dtype, unsigned flags);
  llvm::Value *launchField(llvm::Type *type, uint64_t offset);
  llvm::Value *hasFailed();
  void leaveIf(llvm::Value *condition);
  void spin();

  // arith.cpp: on scalars and vectors alike, driven by the LLVM types of the operands
  llvm::Value *compute(const ir::Op &op, llvm::ArrayRef<llvm::Value *> in);
  llvm::Value *binaryInt(ir::OpKind kind, llvm::Value *x, llvm::Value *y);
  llvm::Value *binaryFloat(ir::OpKind kind, llvm::Value *x, llvm::Value *y);
  llvm::Value *combine(ir::OpKind kind, const ir::Type &type, llvm::Value *x, llvm::Value *y);
  llvm::Constant *identity(ir::OpKind kind, const ir::Type &type);
  llvm::Value *divide(ir::OpKind kind, llvm::Value *x, llvm::Value *y);
  llvm::Value *divideExact(ir::OpKind kind, llvm::Value *x, llvm::Value *y);
  llvm::Value *shift(ir::OpKind kind, llvm::Value *x, llvm::Value *y);
  llvm::Value *compareInt(const ir::Op &op, llvm::Value *x, llvm::Value *y);
  llvm::Value *compareFloat(const ir::Op &op, llvm::Value *x, llvm::Value *y);
  llvm::Value *bitcast(const ir::Op &op, llvm::Value *x);
  llvm::Value *clamp(const ir::Op &op, llvm::ArrayRef<llvm::Value *> in);

  llvm::Value *narrowFma(ir::Elem elem, llvm::ArrayRef<llvm::Value *> in);
  llvm::Value *extremeNumber(llvm::Value *x, llvm::Value *y, bool largest);

  // division.cpp
  struct Reciprocal {
    llvm::Value *divisor, *high, *low; ///< 1 / divisor is about high + low
    llvm::Value *span;                 ///< of twice the bits of an x in range
    llvm::Value *least;                ///< bits from which on the span counts: those of +0 are below
  };
  Reciprocal reciprocalOf(llvm::Value *d);
  llvm::Value *divideByReciprocal(llvm::Value *x, const Reciprocal &by);
  bool dividesByOne(const ir::Op &op) const;
  void emitDivision(const ir::Op &op);
  llvm::Function *remainderFunction();
  llvm::Value *remainder(llvm::Value *x, llvm::Value *y);

  // convert.cpp
  llvm::Value *toFloat(llvm::Value *x, ir::Elem from); ///< f32, or f64 of an f64
  llvm::Value *fromFloat(llvm::Value *x, ir::Elem to); ///< of an f32 or f64, to nearest even
  llvm::Value *convertFloat(llvm::Value *x, ir::Elem from, ir::Elem to, bool towardZero);
  llvm::Value *toOdd(llvm::Value *x); ///< f64 to f32, rounded to odd
  llvm::Value *toSmall(llvm::Value *x, ir::Elem to, bool towardZero);
  llvm::Value *fromSmall(llvm::Value *x, ir::Elem from);

  // math.cpp
  llvm::Value *math(ir::OpKind kind, llvm::Value *x);

  // libdevice.cpp
  llvm::Value *external(const ir::Op &op, llvm::ArrayRef<llvm::Value *> in);
  llvm::Value *callLibdevice(const libdevice::Symbol &symbol, llvm::ArrayRef<llvm::Value *> in);
  llvm::Function *libdeviceFunction(const libdevice::Symbol &symbol, unsigned lanes);

  // dot.cpp
  void emitDot(const ir::Op &op);
  struct DotForm;
  llvm::Function *dotKernel(const DotForm &form);

  llvm::Value *call(llvm::Intrinsic::ID id, llvm::ArrayRef<llvm::Value *> in) {
    return b.CreateIntrinsic(in[0]->getType(), id, in);
  }
};

} // namespace opw::cpu
