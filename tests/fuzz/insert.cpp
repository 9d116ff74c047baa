#include "names.h"

#include <algorithm>

namespace opw::fuzz {

void insertOp(Lines &lines, Random &random) {
  std::vector<Named> names = namesOf(lines);
  const Named *source = anyOf(names, random, lines.size(), "");
  if (source == nullptr || source->line + 1 >= lines.size())
    return;
  const std::string &x = source->name, &type = source->type;
  const Named *second = anyOf(names, random, source->line + 1, type);
  const std::string y = second == nullptr ? x : second->name;
  bool isTile = type.rfind("tensor<", 0) == 0;
  size_t cut = type.rfind('x');
  std::string element = isTile && cut != std::string::npos ? type.substr(cut + 1, type.size() - cut - 2) : type;
  std::string shape = isTile && cut != std::string::npos ? type.substr(7, cut - 6) : "";
  auto with = [&](std::string_view elem) {
    return isTile ? "tensor<" + shape + std::string(elem) + ">" : std::string(elem);
  };
  std::string r = fresh(random), result = type, op;
  bool isFloat = element[0] == 'f' || element[0] == 'b';
  switch (random.below(12)) {
  case 0:
  case 1:
    op = std::string(families()[isFloat ? 1 : 0][random.below(families()[isFloat ? 1 : 0].size())]) + " " + x + ", " +
         y + " : " + type;
    break;
  case 2:
    op =
        std::string(isFloat ? families()[2][random.below(families()[2].size())] : "math.absi") + " " + x + " : " + type;
    break;
  case 3:
    op = (isFloat ? "arith.cmpf olt, " : "arith.cmpi slt, ") + x + ", " + y + " : " + type;
    result = with("i1");
    break;
  case 4:
    result = with("i32");
    op = (isFloat ? "arith.fptosi " : "arith.trunci ") + x + " : " + type + " to " + result;
    break;
  case 5:
    result = with("f32");
    op = (isFloat ? "tt.fp_to_fp " : "arith.sitofp ") + x + (isFloat ? " : " + type + " -> " : " : " + type + " to ") +
         result;
    break;
  case 6: // scan along the first axis
    op = "\"tt.scan\"(" + x + ") <{axis = 0 : i32, reverse = " + (random.oneIn(2) ? "true" : "false") +
         "}> ({ ^bb0(%a: " + element + ", %b: " + element + "): %c = " + (isFloat ? "arith.addf" : "arith.addi") +
         " %a, %b : " + element + " tt.scan.return %c : " + element + " }) : (" + type + ") -> " + type;
    break;
  case 7: { // reduce along the first axis, and back
    std::string rest = shape.substr(std::min(shape.find('x') + 1, shape.size()));
    std::string reduced = rest.empty() ? element : "tensor<" + rest + element + ">", one = fresh(random),
                two = fresh(random);
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(source->line) + 1,
                 "    " + one + " = \"tt.reduce\"(" + x + ") <{axis = 0 : i32}> ({ ^bb0(%a: " + element + ", %b: " +
                     element + "): %c = " + (isFloat ? "arith.maxnumf" : "arith.minsi") + " %a, %b : " + element +
                     " tt.reduce.return %c : " + element + " }) : (" + type + ") -> " + reduced);
    if (rest.empty())
      op = "tt.splat " + one + " : " + reduced + " -> " + type;
    else
      op = "tt.expand_dims " + one + " {axis = 0 : i32} : " + reduced + " -> tensor<1x" + rest + element + ">",
      result = "tensor<1x" + rest + element + ">";
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(source->line) + 2, "    " + r + " = " + op);
    if (!rest.empty())
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(source->line) + 3,
                   "    " + two + " = tt.broadcast " + r + " : " + result + " -> " + type);
    return;
  }
  case 8:
    result = "tensor<" + shape + "2x" + element + ">";
    op = "tt.join " + x + ", " + y + " : " + type + " -> " + result;
    break;
  case 9: {
    const Named *index = anyOf(names, random, source->line + 1, with("i32"));
    op = "tt.gather " + x + "[" + (index == nullptr ? x : index->name) + "] {axis = 0 : i32} : (" + type + ", " +
         with("i32") + ") -> " + type;
    break;
  }
  case 10: {
    const Named *truth = anyOf(names, random, source->line + 1, with("i1"));
    op =
        "arith.select " + (truth == nullptr ? x : truth->name) + ", " + x + ", " + y + " : " + with("i1") + ", " + type;
    break;
  }
  default: {
    const Named *pointer = anyOf(names, random, source->line + 1, with("!tt.ptr<" + element + ">"));
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(source->line) + 1,
                 "    tt.store " + (pointer == nullptr ? x : pointer->name) + ", " + x + " : " +
                     with("!tt.ptr<" + element + ">"));
    return;
  }
  }
  size_t line = source->line;
  if (result == type && !random.oneIn(4)) { // one later use
    std::vector<Use> uses;
    for (const Use &use : usesIn(lines, line + 1))
      if (lines[use.line].compare(use.at, use.size, x) == 0)
        uses.push_back(use);
    if (!uses.empty()) {
      const Use &use = uses[random.below(uses.size())];
      lines[use.line].replace(use.at, use.size, r);
    }
  }
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(line) + 1, "    " + r + " = " + op);
}

} // namespace opw::fuzz
