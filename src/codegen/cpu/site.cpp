// Prints and assertions: calls of the launch's callbacks, with a constant description of the place in the kernel.
#include "codegen/cpu/emitter.h"
#include "support/check.h"

#include "llvm/IR/IntrinsicsAArch64.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/MDBuilder.h"

#include "opwright/plugin.h"

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;

/// A field of the launch block.
llvm::Value *Emitter::launchField(llvm::Type *type, uint64_t offset) {
  llvm::Value *place = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), launch, offset);
  return b.CreateAlignedLoad(type, place, llvm::Align(8));
}

llvm::Value *Emitter::hasFailed() {
  llvm::Value *place = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), launch, offsetof(opw_cpu_launch_t, failed));
  auto *failed = b.CreateAlignedLoad(b.getInt32Ty(), place, llvm::Align(4));
  failed->setAtomic(llvm::AtomicOrdering::Monotonic);
  return b.CreateICmpNE(failed, b.getInt32(0));
}

/// Ends the range of programs where the condition holds.
void Emitter::leaveIf(llvm::Value *condition) {
  BasicBlock *leave = newBlock("leave"), *stay = newBlock("stay");
  b.CreateCondBr(condition, leave, stay, llvm::MDBuilder(context).createUnlikelyBranchWeights());
  b.SetInsertPoint(leave);
  b.CreateRet(b.getInt32(1));
  b.SetInsertPoint(stay);
}

/// One turn of a loop that waits for another program: it may have failed, and the other thread of the core gets its
/// chance.
void Emitter::spin() {
  if (level.arch == Arch::AArch64)
    b.CreateIntrinsic(llvm::Intrinsic::aarch64_hint, {b.getInt32(1)}); // yield
  else
    b.CreateIntrinsic(llvm::Intrinsic::x86_sse2_pause, {});
  leaveIf(hasFailed());
  constexpr uint32_t kPatience = 1 << 14; // turns between two calls of launch->stall
  llvm::Type *i32 = b.getInt32Ty(), *i64 = b.getInt64Ty(), *ptr = b.getPtrTy();
  if (!turns) {
    llvm::IRBuilder<> atEntry(&entry->getEntryBlock(), entry->getEntryBlock().begin());
    turns = atEntry.CreateAlloca(i32);
    atEntry.CreateStore(atEntry.getInt32(0), turns);
  }
  llvm::Value *turn = b.CreateAdd(b.CreateLoad(i32, turns), b.getInt32(1));
  b.CreateStore(turn, turns);
  BasicBlock *stalls = newBlock("stalls"), *after = newBlock("after");
  b.CreateCondBr(b.CreateICmpEQ(b.CreateAnd(turn, kPatience - 1), b.getInt32(0)), stalls, after,
                 llvm::MDBuilder(context).createUnlikelyBranchWeights());
  b.SetInsertPoint(stalls);
  b.CreateCall(llvm::FunctionType::get(b.getVoidTy(), {ptr, i64}, false),
               launchField(ptr, offsetof(opw_cpu_launch_t, stall)),
               {launchField(ptr, offsetof(opw_cpu_launch_t, ctx)), programIndex});
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

/// The opw_cpu_site_t of an op, as a constant of the object.
llvm::Constant *Emitter::siteOf(const Op &op, const std::string &text, unsigned dtype, unsigned flags) {
  auto text_ = [&](const std::string &value) -> llvm::Constant * {
    return b.CreateGlobalString(value, "site.text", 0, &target);
  };
  SourceRange where = sourceOf(source, op.location);
  llvm::Type *i32 = b.getInt32Ty(), *ptr = b.getPtrTy();
  std::vector<llvm::Constant *> extents;
  if (const Attribute *list = op.attributes.find("extents"))
    for (int64_t extent : list->integers)
      extents.push_back(b.getInt64(uint64_t(extent)));
  llvm::Constant *extentsAt = llvm::ConstantPointerNull::get(b.getPtrTy());
  auto constant = [&](llvm::Constant *value, const char *name) {
    auto *global =
        new llvm::GlobalVariable(target, value->getType(), true, llvm::GlobalValue::PrivateLinkage, value, name);
    global->setAlignment(llvm::Align(8));
    return global;
  };
  if (!extents.empty())
    extentsAt =
        constant(llvm::ConstantArray::get(llvm::ArrayType::get(b.getInt64Ty(), extents.size()), extents), "extents");
  auto number = [&](uint64_t value) { return llvm::ConstantInt::get(i32, value); };
  llvm::StructType *type = llvm::StructType::get(context, {i32, i32, ptr, ptr, ptr, ptr, i32, i32, i32, i32, i32, i32});
  return constant(
      llvm::ConstantStruct::get(type, {number(sizeof(opw_cpu_site_t)), number(where.line), text_(where.file),
                                       text_(fn.name), text_(text), extentsAt, number(extents.size()), number(flags),
                                       number(dtype), number(uint64_t(op.attributes.intOr("operand", 0))),
                                       number(uint64_t(op.attributes.intOr("count", 0))), number(0)}),
      "site");
}

void Emitter::emitAssert(const Op &op) {
  if (lane.width != 0)
    refuse("an assertion inside a lane loop");
  llvm::Value *holds = uniform(op.operands[0]);
  BasicBlock *failed = newBlock("assert"), *after = newBlock("after");
  b.CreateCondBr(holds, after, failed, llvm::MDBuilder(context).createLikelyBranchWeights());
  b.SetInsertPoint(failed);
  llvm::Constant *site = siteOf(op, std::string(op.attributes.textOr("message", "")), OPW_NONE, 0);
  llvm::Type *ptr = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto *callback = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, i64}, false);
  b.CreateCall(callback, launchField(ptr, offsetof(opw_cpu_launch_t, fail)),
               {launchField(ptr, offsetof(opw_cpu_launch_t, ctx)), site, programIndex});
  llvm::Value *place = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), launch, offsetof(opw_cpu_launch_t, failed));
  b.CreateAlignedStore(b.getInt32(1), place, llvm::Align(4))->setAtomic(llvm::AtomicOrdering::Monotonic);
  b.CreateRet(b.getInt32(1));
  b.SetInsertPoint(after);
}

/// Operands: the value, then its indices. Numbers travel in 64 bits: integers extended, floats as f64.
void Emitter::emitPrint(const Op &op) {
  if (lane.width != 0)
    refuse("a print inside a lane loop");
  llvm::Type *ptr = b.getPtrTy(), *i64 = b.getInt64Ty();
  unsigned dtype = OPW_NONE, flags = op.attributes.has("hex") ? OPW_SITE_HEX : 0;
  bool isSigned = op.attributes.has("signed");
  llvm::Value *bits = b.getInt64(0);
  if (!op.operands.empty()) {
    const Type &type = fn.type(op.operands[0]);
    llvm::Value *value = uniform(op.operands[0]);
    if (type.isPointer()) {
      dtype = OPW_U64;
      flags |= OPW_SITE_POINTER;
      bits = b.CreatePtrToInt(value, i64);
    } else if (type.isFloatLike()) {
      dtype = OPW_F64;
      bits = b.CreateBitCast(convertFloat(value, type.elem, Elem::F64, false), i64);
    } else {
      static constexpr unsigned kSigned[] = {OPW_I8, OPW_I16, OPW_I32, OPW_I64},
                                kUnsigned[] = {OPW_U8, OPW_U16, OPW_U32, OPW_U64};
      unsigned width = bitWidth(type.elem), size = width <= 8 ? 0 : width == 16 ? 1 : width == 32 ? 2 : 3;
      dtype = type.elem == Elem::I1 ? unsigned(OPW_BOOL) : isSigned ? kSigned[size] : kUnsigned[size];
      bits = isSigned && type.elem != Elem::I1 ? b.CreateSExt(value, i64) : b.CreateZExt(value, i64);
    }
  }
  llvm::Value *index = llvm::ConstantPointerNull::get(b.getPtrTy());
  if (size_t rank = op.operands.size() > 1 ? op.operands.size() - 1 : 0) {
    llvm::IRBuilder<> atEntry(&entry->getEntryBlock(), entry->getEntryBlock().begin());
    index = atEntry.CreateAlloca(i64, b.getInt32(unsigned(rank)));
    for (size_t d = 0; d < rank; d++)
      b.CreateAlignedStore(uniform(op.operands[d + 1]), b.CreateConstInBoundsGEP1_64(i64, index, d), llvm::Align(8));
  }
  llvm::Constant *site = siteOf(op, std::string(op.attributes.textOr("prefix", "")), dtype, flags);
  auto *callback = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, i64, ptr, i64}, false);
  b.CreateCall(callback, launchField(ptr, offsetof(opw_cpu_launch_t, print)),
               {launchField(ptr, offsetof(opw_cpu_launch_t, ctx)), site, programIndex, index, bits});
}

} // namespace opw::cpu
