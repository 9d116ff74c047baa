// Reads the printed form of the IR: what print() writes, and what tests write by hand. All ops have one syntax:
//
//   func public @add(%x: !tt.ptr<f32> {tt.divisibility = 16 : i32}, %n: i32) attributes {noinline = false} {
//     %c = arith.constant 1.5 : f32                        a constant shows its number; everything else is uniform:
//     %a, %b = tt.split %t : tensor<8xf32>, tensor<8xf32>  results = name operands, blocks {attributes} : result types
//     %7:2 = plan.loop %lo, %hi, %one, %x, %y {lane, combine = [arith.addf, arith.maxnumf]} : f32, f32 { ^(%i: i64, %p:
//     f32, %q: f32):
//       scf.yield %s, %m
//     }                                                    regions follow; use results as %7#0, %7#1
//     cf.cond_br %c, ^bb1(%a), ^bb2
//   ^bb1(%v: f32):
//   ...
//
// Attributes: 16 (i64), 16 : i32, 1.5 : f32, 0x7F800000 : f32 (bits), "text", word, keyword "true", true, @symbol, a
// type, [1, 0] (numbers), [word, word], {a = 1, b}, #name<a = 1>; a name without a value is a unit. Empty regions at
// the end of an op are left out. Locations are optional: an op may end in loc(3), and lines `loc 3 = "file.py":12:5
// "name" at 4` make the table; without a table the places of the ops in the text are their locations.
#pragma once

#include "ir/module.h"

namespace opw::ir {

/// The module is well formed as a text; whether it is valid IR is for verify() to say.
Result<Module> parse(std::string_view text, const std::string &fileName);

} // namespace opw::ir
