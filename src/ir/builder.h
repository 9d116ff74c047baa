// Appends ops to a block of a function: the way passes write IR.
#pragma once

#include "ir/module.h"

namespace opw::ir {

class Builder {
public:
  Builder(Function &function, BlockId block) : fn(&function), current(block) {}

  Function &function() const { return *fn; }
  BlockId block() const { return current; }
  void setBlock(BlockId block) { current = block; }
  void setLocation(LocId id) { location = id; }

  /// Appends an op and returns its id; `results` are its result types.
  OpId create(OpKind kind, std::vector<ValueId> operands, const std::vector<Type> &results,
              Attributes attributes = {}) {
    OpId id = fn->addOp(kind, std::move(operands), results, location);
    fn->op(id).attributes = std::move(attributes);
    fn->append(current, id);
    return id;
  }
  /// As create, for an op with one result, which is returned.
  ValueId value(OpKind kind, std::vector<ValueId> operands, Type result, Attributes attributes = {}) {
    return fn->op(create(kind, std::move(operands), {result}, std::move(attributes))).results[0];
  }
  ValueId constant(int64_t value, Elem elem = Elem::I64) {
    Attributes attributes;
    attributes.set("value", Attribute::integerOf(value, elem));
    return this->value(OpKind::Constant, {}, Type::scalar(elem), std::move(attributes));
  }

private:
  Function *fn;
  BlockId current;
  LocId location = kNone;
};

} // namespace opw::ir
