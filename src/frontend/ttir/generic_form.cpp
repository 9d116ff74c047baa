// The form in which MLIR prints ops without an assembly format, and invalid modules:
//   %r = "name"(%operands)[^successors] <{properties}> ({regions}) {attributes} : (types) -> types
#include "frontend/ttir/module_reader.h"
#include "support/text.h"

namespace opw::ttir {

using ir::Attribute;
using ir::OpKind;

ir::OpId ModuleReader::readGeneric(Draft &draft, ir::BlockId block) {
  reader.expect('(', "before operands");
  std::vector<ir::ValueId> operands = readUses();
  reader.expect(')', "after operands");
  if (reader.accept('[')) {
    do
      draft.successors.push_back({readBlockUse(), {}});
    while (reader.accept(','));
    reader.expect(']', "after successor blocks");
  }
  if (reader.accept('<')) {
    addDictionary(draft.attributes);
    reader.expect('>', "after properties");
  }
  // The op owns its regions, so it comes before them; its types come behind them.
  ir::OpId id = fn->addOp(draft.kind, {}, {});
  fn->append(block, id);
  if (reader.accept('(')) {
    std::vector<ir::Region> regions;
    do {
      size_t mark = enterScope();
      regions.push_back(readRegion(id));
      leaveScope(mark);
    } while (reader.accept(','));
    reader.expect(')', "after regions");
    fn->op(id).regions = std::move(regions);
  }
  if (reader.at('{'))
    addDictionary(draft.attributes);
  reader.expect(':', "before the types of a generic operation");
  draft.operands = std::move(operands);
  readFunctionType(draft);
  checkWrittenTypes(draft, Typed::Each);
  distributeSegments(draft);
  normaliseAttributes(draft);
  for (const ir::Type &type : draft.resultTypes)
    fn->addResult(id, type);
  ir::Op &op = fn->op(id);
  op.operands = std::move(draft.operands);
  op.attributes = std::move(draft.attributes);
  op.successors = std::move(draft.successors);
  return id;
}

/// What the sizes of operand groups say beyond the number of operands: arguments of successors, the scales of
/// tt.dot_scaled.
void ModuleReader::distributeSegments(Draft &draft) {
  const Attribute *segments = draft.attributes.find("operandSegmentSizes");
  std::vector<int64_t> sizes = segments != nullptr ? segments->integers : std::vector<int64_t>();
  if (draft.kind == OpKind::Br && draft.successors.size() == 1)
    draft.successors[0].arguments = std::move(draft.operands);
  if (draft.kind == OpKind::CondBr && draft.successors.size() == 2) {
    size_t count = draft.operands.size();
    bool valid = sizes.size() == 3 && sizes[0] == 1 && sizes[1] >= 0 && sizes[2] >= 0 &&
                 static_cast<uint64_t>(sizes[1]) < count && static_cast<uint64_t>(sizes[2]) < count &&
                 static_cast<uint64_t>(1 + sizes[1] + sizes[2]) == count;
    if (!valid && count != 1)
      reader.fail(draft.where, "'operandSegmentSizes' does not fit " + counted(count, "operand"));
    if (valid) {
      auto middle = draft.operands.begin() + 1 + sizes[1];
      draft.successors[0].arguments.assign(draft.operands.begin() + 1, middle);
      draft.successors[1].arguments.assign(middle, draft.operands.end());
      draft.operands.resize(1);
    }
  }
  if (draft.kind == OpKind::DotScaled && sizes.size() == 5) {
    if (sizes[3] == 1)
      draft.attributes.set("lhsScale", Attribute::unit());
    if (sizes[4] == 1)
      draft.attributes.set("rhsScale", Attribute::unit());
  }
  if (draft.kind == OpKind::Br)
    draft.operands.clear();
}

} // namespace opw::ttir
