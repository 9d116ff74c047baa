#include "frontend/ttir/parse.h"
#include "ir/number.h"
#include "ir/walk.h"

#include <gtest/gtest.h>

namespace opw {
namespace {

using ir::Elem;
using ir::OpKind;

ir::Module read(const std::string &text) {
  Result<ir::Module> module = ttir::parse(text, "t.ttir");
  EXPECT_TRUE(module) << render(module.diagnostics());
  return module ? *module : ir::Module();
}

ir::Module readBody(const std::string &ops, const std::string &arguments = "%p: !tt.ptr<f32>, %n: i32") {
  return read("module { tt.func public @k(" + arguments + ") {\n" + ops + "\n tt.return } }");
}

/// The first op of a kind in the first function.
const ir::Op *find(const ir::Module &module, OpKind kind) {
  const ir::Op *found = nullptr;
  ir::walk(module.functions[0], [&](ir::OpId id) {
    const ir::Op &op = module.functions[0].op(id);
    if (op.kind == kind && found == nullptr)
      found = &op;
  });
  return found;
}

uint64_t constantBits(const std::string &text) {
  ir::Module module = readBody("%c = arith.constant " + text);
  const ir::Attribute *value = find(module, OpKind::Constant)->attributes.find("value");
  return value->kind == ir::Attribute::Kind::Float ? value->bits : static_cast<uint64_t>(value->integer);
}

TEST(Constants, HaveTheBitsOfTheirType) {
  EXPECT_EQ(constantBits("1.44269502 : f32"), 0x3fb8aa3bu);
  EXPECT_EQ(constantBits("-1.000000e+06 : f32"), ir::encodeFloat(-1e6, Elem::F32));
  EXPECT_EQ(constantBits("0xFF800000 : f32"), 0xff800000u);
  EXPECT_EQ(constantBits("dense<0x7E00> : tensor<8xf16>"), 0x7e00u);
  EXPECT_EQ(constantBits("dense<1.000980e+00> : tensor<8xf16>"), 0x3c01u);
  EXPECT_EQ(constantBits("2.500000e-01 : f8E4M3FN"), 0x28u);
  EXPECT_EQ(constantBits("true"), 1u);
  EXPECT_EQ(constantBits("dense<true> : tensor<4x4xi1>"), 1u);
  EXPECT_EQ(constantBits("false"), 0u);
  EXPECT_EQ(constantBits("-128 : i8"), static_cast<uint64_t>(-128));
  EXPECT_EQ(constantBits("255 : i8"), static_cast<uint64_t>(-1));
  EXPECT_EQ(constantBits("dense<-2147483648> : tensor<2xi32>"), static_cast<uint64_t>(INT32_MIN));
}

TEST(Hints, OldAndNewFormsGiveTheSameAttributes) {
  ir::Module old = readBody("%v = tt.load %p cacheModifier = cg evictionPolicy = evict_last : !tt.ptr<f32>");
  ir::Module now = readBody("%v = tt.load %p {cachePolicy = #tt.cache_policy<cache_modifier = cg, eviction_policy = "
                            "evict_last>} : !tt.ptr<f32>");
  ir::Module generic =
      readBody("%v = \"tt.load\"(%p) <{cache = 3 : i32, evict = 3 : i32, isVolatile = false, operandSegmentSizes = "
               "array<i32: 1, 0, 0>}> : (!tt.ptr<f32>) -> f32");
  EXPECT_EQ(find(old, OpKind::Load)->attributes, find(now, OpKind::Load)->attributes);
  EXPECT_EQ(find(old, OpKind::Load)->attributes, find(generic, OpKind::Load)->attributes);
  EXPECT_EQ(find(old, OpKind::Load)->attributes.textOr("cacheModifier", ""), "cg");
}

TEST(Descriptors, OldAndNewTypesAreTheSame) {
  ir::Module old =
      readBody("%c = arith.constant 1 : i64 %d = tt.make_tensor_descriptor %p, [%n], [%c] : <f32>, <tensor<8xf32>>");
  ir::Module now =
      readBody("%c = arith.constant 1 : i64 %d = tt.make_tensor_descriptor %p, [%n], [%c] : <f32>, <8xf32>");
  EXPECT_EQ(ir::print(old), ir::print(now));
}

TEST(Descriptors, TheStoredTileComesSecond) {
  ir::Module module = readBody("tt.descriptor_store %d[%n, %n], %t : !tt.tensordesc<8x8xf32>, tensor<8x8xf32>",
                               "%d: !tt.tensordesc<8x8xf32>, %t: tensor<8x8xf32>, %n: i32");
  const ir::Op *store = find(module, OpKind::DescriptorStore);
  EXPECT_EQ(store->operands, (std::vector<ir::ValueId>{0, 1, 2, 2}));
}

TEST(Control, LeftOutYieldsAreThere) {
  ir::Module module =
      readBody("%c = arith.constant true scf.if %c { } else { } scf.for %i = %n to %n step %n : i32 { } {tt.flatten}");
  unsigned yields = 0;
  ir::walk(module.functions[0],
           [&](ir::OpId id) { yields += module.functions[0].op(id).kind == OpKind::Yield ? 1 : 0; });
  EXPECT_EQ(yields, 3u);
  EXPECT_TRUE(find(module, OpKind::For)->attributes.has("tt.flatten"));
}

TEST(Names, RegionsMayReuseThem) {
  readBody(
      "%c = arith.constant true scf.if %c { %x = arith.addi %n, %n : i32 } scf.if %c { %x = arith.subi %n, %n : i32 }");
}

TEST(Locations, AliasesMayComeLater) {
  ir::Module module =
      read("#loc = loc(unknown)\nmodule { tt.func public @k(%n: i32 loc(\"n\"(#loc4))) {\n"
           "%0 = arith.addi %n, %n : i32 loc(#loc3)\n%1 = arith.addi %n, %n : i32 loc(#loc)\n"
           "%2 = arith.muli %n, %n : i32\ntt.return loc(callsite(#loc3 at callsite(#loc4 at \"top.py\":1:2))) } }\n"
           "#loc3 = loc(\"sum\"(#loc4))\n#loc4 = loc(\"k.py\":7:9)\n");
  const ir::Function &function = module.functions[0];
  const std::vector<ir::OpId> &ops = function.blocks[0].ops;
  auto source = [&](size_t i) { return ir::sourceOf(module, function.op(ops[i]).location); };
  EXPECT_EQ(source(0).file, "k.py");
  EXPECT_EQ(source(0).line, 7u);
  EXPECT_EQ(source(0).column, 9u);
  EXPECT_EQ(source(1).line, 0u);
  EXPECT_EQ(source(2).file, "t.ttir");
  EXPECT_EQ(source(2).line, 5u);
  EXPECT_EQ(source(3).line, 7u);
  const ir::Location &inner = module.locations[function.op(ops[3]).location];
  EXPECT_EQ(inner.name, "sum");
  ASSERT_NE(inner.callSite, ir::kNone);
  EXPECT_EQ(module.locations[module.locations[inner.callSite].callSite].file, "top.py");
}

TEST(Locations, CirclesEnd) {
  ir::Module module =
      read("#a = loc(\"x\"(#b))\n#b = loc(callsite(#a at #a))\nmodule { tt.func @k() { tt.return loc(#a) } }\n");
  EXPECT_EQ(ir::sourceOf(module, module.functions[0].ops[0].location).line, 0u);
}

TEST(Functions, VisibilityAndAttributesAreKept) {
  ir::Module module =
      read("module attributes {\"ttg.num-warps\" = 4 : i32} {\n tt.func private @f(%x: f32) -> (f32 {tt.a = 1 : i32}) "
           "attributes "
           "{noinline = true} { tt.return %x : f32 }\n tt.func @k(%p: !tt.ptr<f32> {tt.divisibility = 16 : i32}) {\n"
           "%v = tt.load %p : !tt.ptr<f32> %0 = tt.call @f(%v) : (f32) -> f32 tt.return } }");
  ASSERT_NE(module.entry(), nullptr);
  EXPECT_EQ(module.entry()->name, "k");
  EXPECT_EQ(module.entry()->argumentAttributes[0].intOr("tt.divisibility", 0), 16);
  EXPECT_EQ(module.attributes.intOr("ttg.num-warps", 0), 4);
  EXPECT_EQ(module.find("f")->attributes.intOr("noinline", 0), 1);
}

} // namespace
} // namespace opw
