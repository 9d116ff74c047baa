#include "ir/builder.h"
#include "ir/parser.h"
#include "ir/typing.h"
#include "ir/verify.h"
#include "ir/walk.h"

#include <gtest/gtest.h>

namespace opw::ir {
namespace {

constexpr OpKind kKinds[] = {
#define OPW_OP(id, text, traits) OpKind::id,
#include "ir/ops.def"
#undef OPW_OP
};

Type tile(Elem elem, std::initializer_list<uint8_t> log2dims) {
  Type type = Type::scalar(elem);
  for (uint8_t log2 : log2dims)
    type.log2dim[type.rank++] = log2;
  return type;
}

TEST(Types, PrintAsMlirSpellsThem) {
  EXPECT_EQ(tile(Elem::F32, {6, 5}).str(), "tensor<64x32xf32>");
  EXPECT_EQ(Type::pointer(Elem::BF16).str(), "!tt.ptr<bf16>");
  Type pointers = tile(Elem::F16, {3});
  pointers.pointerDepth = 2;
  EXPECT_EQ(pointers.str(), "tensor<8x!tt.ptr<!tt.ptr<f16>>>");
  Type block = tile(Elem::F16, {4, 0});
  block.kind = TypeKind::BlockPointer;
  EXPECT_EQ(block.str(), "!tt.ptr<tensor<16x1xf16>>");
  block.kind = TypeKind::Descriptor;
  block.elem = Elem::I32;
  block.signedness = -1;
  EXPECT_EQ(block.str(), "!tt.tensordesc<16x1xui32>");
  EXPECT_EQ(byteWidth(Elem::I1), 1u);
  EXPECT_EQ(byteWidth(Elem::I4), 1u);
  EXPECT_EQ(tile(Elem::F32, {6, 5}).size(), 2048);
}

TEST(Ops, EveryNameIsFoundAndHasARule) {
  for (OpKind kind : kKinds) {
    OpKind found;
    ASSERT_TRUE(findOp(name(kind), found));
    EXPECT_EQ(found, kind);
    EXPECT_EQ(regionCount(kind) > 0, has(kind, kRegions)) << name(kind);
  }
  OpKind ignored;
  EXPECT_FALSE(findOp("tt.nothing", ignored));
}

TEST(Attributes, AreFoundByName) {
  Attributes attributes;
  attributes.set("axis", Attribute::integerOf(1));
  attributes.set("init", Attribute::keyword("zero"));
  attributes.set("axis", Attribute::integerOf(2));
  EXPECT_EQ(attributes.intOr("axis", 0), 2);
  EXPECT_EQ(attributes.intOr("init", 7), 7);
  EXPECT_EQ(attributes.textOr("init", ""), "zero");
  attributes.erase("axis");
  EXPECT_FALSE(attributes.has("axis"));
}

/// A function that adds two numbers; tests break it.
struct Example {
  Module module;
  OpId add = 0;
  ValueId sum = 0;

  Example() {
    Function function;
    function.name = "k";
    BlockId entry = function.addBlock();
    function.body.blocks.push_back(entry);
    ValueId x = function.addArgument(entry, Type::scalar(Elem::F32), "x");
    Builder builder(function, entry);
    add = builder.create(OpKind::AddF, {x, x}, {Type::scalar(Elem::F32)});
    sum = function.op(add).results[0];
    builder.value(OpKind::MulF, {sum, x}, Type::scalar(Elem::F32));
    builder.create(OpKind::Return, {}, {});
    module.functions.push_back(std::move(function));
  }
  Function &function() { return module.functions[0]; }
  std::string firstProblem() {
    Status status = verify(module);
    return status ? "" : status.diagnostics()[0].message;
  }
};

TEST(Verifier, AcceptsWhatTheBuilderMakes) {
  Example example;
  EXPECT_EQ(example.firstProblem(), "");
  EXPECT_EQ(print(example.module),
            "func public @k(%x: f32) {\n  %0 = arith.addf %x, %x : f32\n  %1 = arith.mulf %0, %x : f32\n"
            "  tt.return\n}\n");
}

TEST(Verifier, FindsBrokenIds) {
  Example missing;
  missing.function().op(missing.add).operands[0] = 99;
  EXPECT_EQ(missing.firstProblem(), "an operand does not exist");
  Example twice;
  twice.function().blocks[0].ops.push_back(twice.add);
  EXPECT_EQ(twice.firstProblem(), "a block lists an op that does not exist or stands elsewhere");
  Example orphan;
  orphan.function().op(orphan.add).parent = kNone;
  EXPECT_EQ(orphan.firstProblem(), "an op does not know its block");
}

TEST(Verifier, FindsUseBeforeDefinition) {
  Example example;
  std::swap(example.function().blocks[0].ops[0], example.function().blocks[0].ops[1]);
  EXPECT_EQ(example.firstProblem(), "uses a value before it is defined");
  Example erased;
  erased.function().blocks[0].ops.erase(erased.function().blocks[0].ops.begin());
  EXPECT_EQ(erased.firstProblem(), "uses a value that is not defined in the function");
}

TEST(Verifier, FindsUseOfAValueOfAnotherRegion) {
  Result<Module> module =
      parse("func public @k(%c: i1) {\n  scf.if %c {\n    %x = arith.constant 1 : i32\n    scf.yield\n  } {\n"
            "    %y = arith.constant 2 : i32\n    %z = arith.addi %y, %y : i32\n    scf.yield\n  }\n  tt.return\n}\n",
            "t.ir");
  ASSERT_TRUE(module);
  Function &function = module->functions[0];
  ValueId x = kNone;
  OpId add = kNone;
  walk(function, [&](OpId id) {
    const Op &op = function.op(id);
    if (op.kind == OpKind::Constant && x == kNone)
      x = op.results[0];
    if (op.kind == OpKind::AddI)
      add = id;
  });
  function.op(add).operands[0] = x;
  Status status = verify(*module);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.diagnostics()[0].message, "uses a value before it is defined");
}

TEST(Verifier, DominanceFollowsBranches) {
  const char *text =
      "func public @k(%c: i1, %n: i32) {\n  cf.cond_br %c, ^a, ^b\n^a:\n  %x = arith.addi %n, %n : i32\n  cf.br ^d\n"
      "^b:\n  cf.br ^d\n^d:\n  %y = arith.addi %n, %n : i32\n  tt.return\n^dead:\n  %z = arith.addi %y, %n : i32\n"
      "  cf.br ^d\n}\n";
  Result<Module> module = parse(text, "t.ir");
  ASSERT_TRUE(module) << render(module.diagnostics());
  EXPECT_TRUE(verify(*module));
  Function &function = module->functions[0];
  ValueId x = kNone;
  walk(function, [&](OpId id) {
    Op &op = function.op(id);
    if (op.kind == OpKind::AddI && x == kNone)
      x = op.results[0];
    else if (op.kind == OpKind::AddI && function.values[op.results[0]].name == "y")
      op.operands[0] = x;
  });
  EXPECT_FALSE(verify(*module));
}

TEST(Printer, MakesNamesUnique) {
  const char *text =
      "func public @k(%x: f32, %c: i1) {\n  scf.if %c {\n    %x_0 = arith.addf %x, %x : f32\n    scf.yield\n  } {\n"
      "    %x_0 = arith.mulf %x, %x : f32\n    %7 = arith.mulf %x_0, %x : f32\n    scf.yield\n  }\n  tt.return\n}\n";
  Result<Module> module = parse(text, "t.ir");
  ASSERT_TRUE(module) << render(module.diagnostics());
  std::string printed = print(*module);
  EXPECT_NE(printed.find("%x_0_0 = arith.mulf"), std::string::npos) << printed;
  EXPECT_NE(printed.find("%0 = arith.mulf %x_0_0, %x"), std::string::npos) << printed;
}

TEST(Locations, TheInnermostKnownPlaceIsTheUsers) {
  Result<Module> module =
      parse("func public @k() {\n  tt.return loc(2)\n}\nloc 0 = \"main.py\":3:1\nloc 1 = \"\":0:0 at 0\n"
            "loc 2 = \"inner.py\":9:5 \"x\" at 1\n",
            "t.ir");
  ASSERT_TRUE(module) << render(module.diagnostics());
  EXPECT_EQ(sourceOf(*module, 2).file, "inner.py");
  EXPECT_EQ(sourceOf(*module, 2).line, 9u);
  EXPECT_EQ(sourceOf(*module, 1).file, "main.py");
  EXPECT_EQ(sourceOf(*module, kNone).line, 0u);
  module->locations[0].callSite = 2; // a circle ends
  module->locations[2].line = 0;
  module->locations[0].line = 0;
  EXPECT_EQ(sourceOf(*module, 2).line, 0u);
}

TEST(Module, TheEntryIsTheOnePublicFunction) {
  Module module;
  EXPECT_EQ(module.entry(), nullptr);
  module.functions.resize(2);
  module.functions[0].name = "helper";
  module.functions[0].isPublic = false;
  module.functions[1].name = "k";
  EXPECT_EQ(module.entry(), &module.functions[1]);
  EXPECT_EQ(module.find("helper"), &module.functions[0]);
  module.functions[0].isPublic = true;
  EXPECT_EQ(module.entry(), nullptr);
}

} // namespace
} // namespace opw::ir
