#include "codegen/cpu/piecewise.h"

namespace opw::cpu {

using llvm::Value;

static llvm::GlobalVariable *tableOf(llvm::Module &module, const Piecewise &table) {
  if (llvm::GlobalVariable *known = module.getNamedGlobal(table.name))
    return known;
  llvm::Constant *data = llvm::ConstantDataArray::get(module.getContext(), table.rows);
  auto *global =
      new llvm::GlobalVariable(module, data->getType(), true, llvm::GlobalValue::InternalLinkage, data, table.name);
  global->setAlignment(llvm::Align(64));
  return global;
}

Value *evaluate(MathBuilder &m, const Piecewise &table, Value *x) {
  auto &b = m.b;
  llvm::GlobalVariable *data = tableOf(*b.GetInsertBlock()->getModule(), table);
  unsigned stride = unsigned(table.rows.size() / table.starts.size());
  Value *row = m.i(0);
  for (size_t k = 1; k < table.starts.size(); k++)
    row = b.CreateAdd(row, b.CreateZExt(b.CreateFCmpOGE(x, m.c(table.starts[k])), m.integers));
  Value *start = b.CreateMul(row, m.i(stride));
  auto column = [&](unsigned k) -> Value * {
    Value *place = b.CreateGEP(b.getDoubleTy(), data, b.CreateAdd(start, m.i(k)));
    if (m.lanes)
      return b.CreateMaskedGather(m.type, place, llvm::Align(8));
    return b.CreateAlignedLoad(m.type, place, llvm::Align(8));
  };
  unsigned first = stride - table.terms;
  Value *u = m.sub(x, column(0)), *sum = column(stride - 1);
  for (unsigned k = stride - 1; k-- > first;)
    sum = m.fma(sum, u, column(k));
  if (first == 3)
    sum = m.mul(m.sub(m.sub(x, column(1)), column(2)), sum);
  return sum;
}

} // namespace opw::cpu
