// The entry function: its arguments, and the loop over the programs of a range.
#include "codegen/cpu/emitter.h"
#include "opwright/plugin.h"
#include "support/check.h"

#include "llvm/IR/IntrinsicsX86.h"

#include <algorithm>

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;

void Emitter::bindArguments() {
  llvm::Type *i32 = b.getInt32Ty(), *i64 = b.getInt64Ty(), *ptr = b.getPtrTy();
  llvm::MDNode *constant = llvm::MDNode::get(context, {});
  auto field = [&](llvm::Type *type, llvm::Value *base, uint64_t offset) {
    auto *load =
        b.CreateAlignedLoad(type, b.CreateConstGEP1_64(b.getInt8Ty(), base, offset), llvm::Align(type == i32 ? 4 : 8));
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, constant);
    return load;
  };
  llvm::Value *args = entry->getArg(0), *scratch = entry->getArg(3);
  for (unsigned axis = 0; axis < 3; axis++)
    grid[axis] = field(i32, args, offsetof(opw_cpu_args_t, grid) + 4 * axis);
  llvm::Value *values = field(ptr, args, offsetof(opw_cpu_args_t, slots));
  const std::vector<ValueId> &arguments = fn.arguments();
  for (size_t i = 0; i < arguments.size(); i++) {
    const Type &type = fn.type(arguments[i]);
    if (!type.isScalar())
      refuse("argument " + std::to_string(i) + " has type " + type.str() + ", expected a scalar or a pointer");
    llvm::Type *wanted = typeOf(type);
    llvm::Value *value;
    if (wanted->isPointerTy() || wanted == i64 || wanted->isDoubleTy())
      value = field(wanted, values, 8 * i);
    else if (wanted->isFloatTy())
      value = b.CreateBitCast(b.CreateTrunc(field(i64, values, 8 * i), i32), wanted);
    else
      value = b.CreateTrunc(field(i64, values, 8 * i), wanted);
    bindUniform(arguments[i], value);
  }
  if (scratchEnd > 0)
    scratchMemory = field(ptr, scratch, offsetof(opw_cpu_scratch_t, memory));
  if (needsLaunch)
    launch = field(ptr, args, offsetof(opw_cpu_args_t, launch));
  if (!memoOffsets.empty())
    epoch = field(i64, launch, offsetof(opw_cpu_launch_t, epoch));
  if (streamed)
    streams = b.CreateICmpNE(b.CreateAnd(field(i32, args, offsetof(opw_cpu_args_t, flags)), 1), b.getInt32(0));
}

/// Tiles and locals do not exist any more: the arguments are what a debugger can show.
void Emitter::describeArguments() {
  const std::vector<ValueId> &arguments = fn.arguments();
  for (size_t i = 0; i < arguments.size(); i++) {
    const Value &argument = fn.values[arguments[i]];
    std::string name = argument.name.empty() ? "arg" + std::to_string(i) : argument.name;
    debug->variable(b, name, argument.type, uniform(arguments[i]));
  }
}

/// The ids of the program at a place of the order, by division.
Emitter::Ids Emitter::idsAt(llvm::Value *place) {
  const auto &[first, second, third] = options.order.axes;
  auto sizeOf = [&](uint8_t axis) { return b.CreateZExt(grid[axis], b.getInt64Ty()); };
  llvm::Value *rows = sizeOf(second), *rest, *inner, *outer;
  if (options.order.band < 2) {
    inner = b.CreateURem(place, sizeOf(first));
    rest = b.CreateUDiv(place, sizeOf(first));
    outer = b.CreateURem(rest, rows);
    rest = b.CreateUDiv(rest, rows);
  } else {
    llvm::Value *plane = b.CreateMul(sizeOf(first), rows), *band = b.getInt64(options.order.band);
    rest = b.CreateUDiv(place, plane);
    llvm::Value *inPlane = b.CreateURem(place, plane), *inBand = b.CreateMul(sizeOf(first), band);
    llvm::Value *start = b.CreateMul(b.CreateUDiv(inPlane, inBand), band);
    llvm::Value *height = b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, b.CreateSub(rows, start), band);
    inPlane = b.CreateURem(inPlane, inBand);
    inner = b.CreateUDiv(inPlane, height);
    outer = b.CreateAdd(start, b.CreateURem(inPlane, height));
  }
  Ids ids;
  ids[first] = b.CreateTrunc(inner, b.getInt32Ty());
  ids[second] = b.CreateTrunc(outer, b.getInt32Ty());
  ids[third] = b.CreateTrunc(rest, b.getInt32Ty());
  return ids;
}

/// A place is a number whose digits are the ids, the fastest axis first. How many of them must be followed: the later
/// ones nobody asks for.
unsigned Emitter::digitsInUse() const {
  bool reports = needsLaunch && options.order != ProgramOrder{};
  unsigned digits = debug || reports ? 3 : 0;
  for (unsigned digit = 0; digit < 3; digit++)
    if (usedAxes >> options.order.axes[digit] & 1)
      digits = std::max(digits, digit + 1);
  return digits;
}

/// The ids of the next program, by carries.
Emitter::Ids Emitter::idsAfter(const Ids &ids, unsigned digits) {
  const auto &axes = options.order.axes;
  Ids next{};
  llvm::Value *carry = b.getTrue();
  for (unsigned digit = 0; digit < digits; digit++) {
    llvm::Value *bumped = b.CreateAdd(ids[axes[digit]], b.CreateZExt(carry, b.getInt32Ty()));
    if (digit < 2) {
      carry = b.CreateICmpEQ(bumped, grid[axes[digit]]);
      bumped = b.CreateSelect(carry, b.getInt32(0), bumped);
    }
    next[axes[digit]] = bumped;
  }
  return next;
}

/// x + nx * (y + ny * z): what reports of a program name it by, whatever the order.
llvm::Value *Emitter::indexOf(const Ids &ids) {
  llvm::Type *i64 = b.getInt64Ty();
  auto wide = [&](llvm::Value *value) { return b.CreateZExt(value, i64); };
  llvm::Value *rows = b.CreateAdd(wide(ids[1]), b.CreateMul(wide(grid[1]), wide(ids[2])));
  return b.CreateAdd(wide(ids[0]), b.CreateMul(wide(grid[0]), rows));
}

void Emitter::run() {
  llvm::Type *i32 = b.getInt32Ty(), *i64 = b.getInt64Ty(), *ptr = b.getPtrTy();
  layOutScratch();
  auto *type = llvm::FunctionType::get(i32, {ptr, i64, i64, ptr}, false);
  entry = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, options.entry, target);
  beginEntry(entry);
  if (options.debugInfo) {
    debug = std::make_unique<DebugInfo>(source, fn, *entry);
    b.SetCurrentDebugLocation(debug->prologue());
  }
  entry->addParamAttr(0, llvm::Attribute::NoAlias);
  entry->addParamAttr(3, llvm::Attribute::NoAlias);
  llvm::Value *low = entry->getArg(1), *high = entry->getArg(2);
  BasicBlock *start = newBlock("entry"), *prologue = newBlock("prologue"), *loop = newBlock("program"),
             *done = newBlock("done");
  b.SetInsertPoint(start);
  bindArguments();
  Ids shown; // where a debugger finds the ids
  if (debug) {
    describeArguments();
    for (unsigned axis = 0; axis < 3; axis++) // no program runs yet
      shown[axis] = debug->variable(b, "program_id_" + std::to_string(axis), Type::scalar(Elem::I32), b.getInt32(-1));
    debug->markStart(b);
  }
  b.CreateCondBr(b.CreateICmpSLT(low, high), prologue, done);

  b.SetInsertPoint(prologue);
  // A band needs divisions for each program; otherwise the first program does, and the others follow by carries.
  bool carries = options.order.band < 2;
  unsigned digits = digitsInUse();
  Ids first = carries ? idsAt(low) : Ids{};
  prologue = b.GetInsertBlock();
  b.CreateBr(loop);

  b.SetInsertPoint(loop);
  llvm::PHINode *place = b.CreatePHI(i64, 2, "p");
  place->addIncoming(low, prologue);
  Ids ids{};
  for (unsigned digit = 0; carries && digit < digits; digit++)
    ids[options.order.axes[digit]] = b.CreatePHI(i32, 2, "pid");
  if (!carries)
    ids = idsAt(place);
  programIndex = options.order == ProgramOrder{} ? place : needsLaunch ? indexOf(ids) : nullptr;
  program = ids;
  for (unsigned axis = 0; debug && axis < 3; axis++)
    program[axis] = DebugInfo::assign(b, shown[axis], ids[axis]);
  if (canFail)
    leaveIf(hasFailed());
  OPW_CHECK(fn.body.blocks.size() == 1, "a plan function has one block");
  emitBlock(fn.block(fn.body.blocks[0]));

  llvm::Value *next = b.CreateNUWAdd(place, b.getInt64(1));
  place->addIncoming(next, b.GetInsertBlock());
  if (carries) {
    Ids after = idsAfter(ids, digits);
    for (unsigned digit = 0; digit < digits; digit++) {
      uint8_t axis = options.order.axes[digit];
      auto *id = llvm::cast<llvm::PHINode>(ids[axis]);
      id->addIncoming(first[axis], prologue);
      id->addIncoming(after[axis], b.GetInsertBlock());
    }
  }
  BasicBlock *finish = newBlock("finish");
  b.CreateCondBr(b.CreateICmpSLT(next, high), loop, finish);
  b.SetInsertPoint(finish);
  if (streamed)
    b.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {});
  b.CreateBr(done);
  done->moveAfter(&entry->back());
  b.SetInsertPoint(done);
  b.CreateRet(b.getInt32(0));
  if (debug)
    debug->finish();
}

void Emitter::beginEntry(llvm::Function *function) {
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr(llvm::Attribute::NoFree);
  function->addFnAttr("target-cpu", level.cpu);
  function->addFnAttr("tune-cpu", level.tune);
  function->addFnAttr("target-features", level.features);
  function->addFnAttr("prefer-vector-width", std::to_string(level.vectorBits));
  function->addFnAttr("min-legal-vector-width", std::to_string(level.vectorBits));
}

} // namespace opw::cpu
