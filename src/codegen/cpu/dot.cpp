// plan.dot as a grid of micro-kernels. One internal function does a whole dot: for each strip of B and each block of
// rows, the accumulators of the tile are SSA values of a rolled loop over K, so that they stay in registers. Everything
// about the layout is a constant in it; dots of one form share the function.
#include "codegen/cpu/emitter.h"
#include "support/check.h"

#include <algorithm>

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;

struct Emitter::DotForm {
  int64_t rows, lanes, depth, cRow, aRow, aCol, panel;
  enum class Init { Zero, Load, ScaleRows, ScaleLanes } init;

  std::string key() const {
    std::string text = "opw.dot";
    for (int64_t part : {rows, lanes, depth, cRow, aRow, aCol, panel, int64_t(init)})
      text += "." + std::to_string(part);
    return text;
  }
};

namespace {

/// A tile of the grid: rows x (vectors * width).
struct Tile {
  int64_t rows, vectors, width;
};

/// Enough accumulators to hide the latency of an FMA, few enough for the register file, B rows shared by many A
/// elements.
Tile chooseTile(const Level &level, int64_t rows, int64_t panel) {
  Tile tile;
  tile.width = std::min<int64_t>(level.lanes(32), panel);
  bool few = rows < level.dot.rows;
  DotShape shape = few ? level.dotWide : level.dot;
  tile.vectors = std::min<int64_t>(shape.vectors, panel / tile.width);
  int64_t accumulators = int64_t{shape.rows} * shape.vectors;
  tile.rows = std::min(rows, std::max<int64_t>(shape.rows, accumulators / tile.vectors));
  return tile;
}

} // namespace

llvm::Function *Emitter::dotKernel(const DotForm &form) {
  llvm::Function *&known = kernels[form.key()];
  if (known)
    return known;
  Tile tile = chooseTile(level, form.rows, form.panel);
  int64_t stripe = tile.vectors * tile.width;
  llvm::Type *f32 = b.getFloatTy(), *ptr = b.getPtrTy(), *vector = llvm::FixedVectorType::get(f32, tile.width);
  auto *function = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, ptr, ptr}, false),
                                          llvm::GlobalValue::InternalLinkage, form.key(), target);
  beginEntry(function);
  function->addFnAttr(llvm::Attribute::NoInline);
  for (unsigned i = 0; i < 4; i++)
    function->addParamAttr(i, llvm::Attribute::NoAlias);
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  b.SetCurrentDebugLocation({}); // the function has no lines of its own
  llvm::Function *outer = std::exchange(entry, function);
  llvm::Value *c = function->getArg(0), *a = function->getArg(1), *panels = function->getArg(2),
              *scale = function->getArg(3);
  BasicBlock *start = newBlock("entry"), *strip = newBlock("strip"), *block = newBlock("rows"), *step = newBlock("k"),
             *stored = newBlock("store"), *nextStrip = newBlock("next"), *done = newBlock("done");
  auto at = [&](llvm::Value *base, llvm::Value *offset) { return b.CreateGEP(f32, base, offset); };
  auto off = [&](llvm::Value *base, int64_t offset) { return b.CreateConstGEP1_64(f32, base, offset); };
  auto load = [&](llvm::Type *type, llvm::Value *pointer) {
    return b.CreateAlignedLoad(type, pointer, llvm::Align(4));
  };

  b.SetInsertPoint(start);
  b.CreateBr(strip);
  b.SetInsertPoint(strip);
  llvm::PHINode *l = b.CreatePHI(b.getInt64Ty(), 2, "l");
  l->addIncoming(b.getInt64(0), start);
  // strip l: panel l / panel, at lane l % panel of each of its rows
  llvm::Value *inside = b.CreateAnd(l, form.panel - 1), *before = b.CreateSub(l, inside);
  llvm::Value *bStart = at(panels, b.CreateAdd(b.CreateMul(before, b.getInt64(form.depth)), inside));
  b.CreateBr(block);

  b.SetInsertPoint(block);
  llvm::PHINode *r = b.CreatePHI(b.getInt64Ty(), 2, "r");
  r->addIncoming(b.getInt64(0), strip);
  llvm::Value *aStart = at(a, b.CreateMul(r, b.getInt64(form.aRow)));
  llvm::Value *cStart = at(at(c, b.CreateMul(r, b.getInt64(form.cRow))), l);
  std::vector<llvm::Value *> inits;
  for (int64_t row = 0; row < tile.rows; row++)
    for (int64_t v = 0; v < tile.vectors; v++) {
      if (form.init == DotForm::Init::Zero) {
        inits.push_back(llvm::Constant::getNullValue(vector));
        continue;
      }
      llvm::Value *value = load(vector, off(cStart, row * form.cRow + v * tile.width));
      if (form.init == DotForm::Init::ScaleRows)
        value = b.CreateFMul(value, b.CreateVectorSplat(tile.width, load(f32, off(at(scale, r), row))));
      if (form.init == DotForm::Init::ScaleLanes)
        value = b.CreateFMul(value, load(vector, off(at(scale, l), v * tile.width)));
      inits.push_back(value);
    }
  b.CreateBr(step);

  b.SetInsertPoint(step);
  llvm::PHINode *k = b.CreatePHI(b.getInt64Ty(), 2, "k");
  k->addIncoming(b.getInt64(0), block);
  std::vector<llvm::PHINode *> sums;
  for (llvm::Value *init : inits) {
    sums.push_back(b.CreatePHI(vector, 2));
    sums.back()->addIncoming(init, block);
  }
  llvm::Value *aNow = at(aStart, b.CreateMul(k, b.getInt64(form.aCol))),
              *bNow = at(bStart, b.CreateMul(k, b.getInt64(form.panel)));
  std::vector<llvm::Value *> row, ended;
  for (int64_t v = 0; v < tile.vectors; v++)
    row.push_back(load(vector, off(bNow, v * tile.width)));
  for (int64_t i = 0; i < tile.rows; i++) {
    llvm::Value *element = b.CreateVectorSplat(tile.width, load(f32, off(aNow, i * form.aRow)));
    for (int64_t v = 0; v < tile.vectors; v++)
      ended.push_back(b.CreateIntrinsic(llvm::Intrinsic::fma, {vector}, {element, row[v], sums[i * tile.vectors + v]}));
  }
  llvm::Value *nextK = b.CreateAdd(k, b.getInt64(1));
  k->addIncoming(nextK, step);
  for (size_t i = 0; i < sums.size(); i++)
    sums[i]->addIncoming(ended[i], step);
  b.CreateCondBr(b.CreateICmpEQ(nextK, b.getInt64(form.depth)), stored, step);

  b.SetInsertPoint(stored);
  for (int64_t i = 0; i < tile.rows; i++)
    for (int64_t v = 0; v < tile.vectors; v++)
      b.CreateAlignedStore(ended[i * tile.vectors + v], off(cStart, i * form.cRow + v * tile.width), llvm::Align(4));
  llvm::Value *nextR = b.CreateAdd(r, b.getInt64(tile.rows));
  r->addIncoming(nextR, stored);
  b.CreateCondBr(b.CreateICmpEQ(nextR, b.getInt64(form.rows)), nextStrip, block);

  b.SetInsertPoint(nextStrip);
  llvm::Value *nextL = b.CreateAdd(l, b.getInt64(stripe));
  l->addIncoming(nextL, nextStrip);
  b.CreateCondBr(b.CreateICmpEQ(nextL, b.getInt64(form.lanes)), done, strip);
  b.SetInsertPoint(done);
  b.CreateRetVoid();
  entry = outer;
  return known = function;
}

void Emitter::emitDot(const Op &op) {
  if (lane.width != 0)
    refuse("a dot inside a lane loop");
  auto number = [&](const char *name, int64_t fallback) { return op.attributes.intOr(name, fallback); };
  DotForm form;
  form.rows = number("rows", 0);
  form.lanes = number("lanes", 0);
  form.depth = number("depth", 0);
  form.panel = number("panel", form.lanes);
  form.cRow = number("c_row", form.lanes);
  form.aRow = number("a_row", form.depth);
  form.aCol = number("a_col", 1);
  std::string_view init = op.attributes.textOr("init", "load");
  form.init = init == "zero"          ? DotForm::Init::Zero
              : init == "scale_rows"  ? DotForm::Init::ScaleRows
              : init == "scale_lanes" ? DotForm::Init::ScaleLanes
                                      : DotForm::Init::Load;
  auto power = [](int64_t x) { return x > 0 && (x & (x - 1)) == 0; };
  OPW_CHECK(power(form.rows) && power(form.lanes) && form.depth > 0 && power(form.panel) && form.panel <= form.lanes,
            "extents of a plan.dot");
  bool scaled = form.init == DotForm::Init::ScaleRows || form.init == DotForm::Init::ScaleLanes;
  OPW_CHECK(op.operands.size() == (scaled ? 4u : 3u), "operands of a plan.dot");
  for (ValueId operand : op.operands)
    if (fn.type(operand) != Type::pointer(Elem::F32))
      refuse("a dot of " + fn.type(operand).str() + " operands, expected buffers of f32");
  llvm::Value *c = uniform(op.operands[0]), *a = uniform(op.operands[1]), *panels = uniform(op.operands[2]);
  b.CreateCall(dotKernel(form), {c, a, panels, scaled ? uniform(op.operands[3]) : c});
}

} // namespace opw::cpu
