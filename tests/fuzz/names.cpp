#include "names.h"

#include <algorithm>
#include <cctype>

namespace opw::fuzz {

Lines linesOf(const std::string &text) {
  Lines lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string join(const Lines &lines) {
  std::string text;
  for (const std::string &line : lines)
    text += line + "\n";
  return text;
}

bool isWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '#'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

bool isPlain(std::string_view line) {
  line = trimmed(line);
  bool isOp = !line.empty() && (line[0] == '%' || line.substr(0, 3) == "tt." || line.substr(0, 6) == "scf.if");
  return isOp && line.find("({") == std::string_view::npos && line.back() != '{' && line.find("tt.func") != 0 &&
         line.find(".return") == std::string_view::npos && line.find("tt.return") != 0;
}

std::vector<Use> usesIn(const Lines &lines, size_t from) {
  std::vector<Use> uses;
  for (size_t i = from; i < lines.size(); ++i) {
    size_t start = lines[i].find(" = ");
    for (size_t at = lines[i].find('%', start == std::string::npos ? 0 : start); at != std::string::npos;
         at = lines[i].find('%', at + 1)) {
      size_t end = at + 1;
      while (end < lines[i].size() && isWord(lines[i][end]))
        ++end;
      uses.push_back({i, at, end - at});
    }
  }
  return uses;
}

std::vector<Named> namesOf(const Lines &lines) {
  std::vector<Named> names;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string line = lines[i].substr(0, lines[i].find(" loc("));
    for (const Use &use : usesIn({line})) { // %arg0: f32, of functions and blocks
      size_t colon = use.at + use.size;
      if (line.compare(colon, 2, ": ") != 0)
        continue;
      size_t end = colon + 2, depth = 0;
      for (; end < line.size(); ++end) {
        depth += line[end] == '<' ? 1 : 0;
        if (depth == 0 && std::string_view(",) {").find(line[end]) != std::string_view::npos)
          break;
        depth -= line[end] == '>' ? 1 : 0;
      }
      names.push_back({line.substr(use.at, use.size), line.substr(colon + 2, end - colon - 2), i});
    }
    size_t equals = line.find(" = ");
    std::string_view name = trimmed(std::string_view(line).substr(0, equals));
    bool isOne = equals != std::string::npos && !name.empty() && name[0] == '%' &&
                 name.find_first_of(" ,:") == std::string_view::npos;
    if (!isOne || !isPlain(line))
      continue;
    size_t arrow = line.rfind("-> "), to = line.rfind(" to "), colon = line.rfind(" : ");
    std::string type;
    if (arrow != std::string::npos)
      type = line.substr(arrow + 3);
    else if (to != std::string::npos)
      type = line.substr(to + 4);
    else if (colon != std::string::npos)
      type = line.substr(colon + 3);
    if (line.find("arith.cmp") != std::string::npos)
      type = type.find('x') == std::string::npos ? "i1" : type.substr(0, type.rfind('x')) + "xi1>";
    if (line.find("tt.load") != std::string::npos) {
      if (size_t ptr = type.find("!tt.ptr<"); ptr != std::string::npos)
        type.erase(ptr, 8).erase(type.find('>'), 1);
    }
    if (line.find("tt.addptr") != std::string::npos)
      type = type.substr(0, type.find(", "));
    names.push_back({std::string(name), type, i});
  }
  return names;
}

const Named *anyOf(const std::vector<Named> &names, Random &random, size_t before, std::string_view type) {
  std::vector<const Named *> fitting;
  for (const Named &each : names)
    if (each.line < before && (type.empty() || each.type == type))
      fitting.push_back(&each);
  return fitting.empty() ? nullptr : fitting[random.below(fitting.size())];
}
const std::vector<Family> &families() {
  static const std::vector<Family> all = {
      {"arith.addi",  "arith.subi",  "arith.muli",  "arith.divsi", "arith.divui",     "arith.remsi",     "arith.remui",
       "arith.andi",  "arith.ori",   "arith.xori",  "arith.shli",  "arith.shrsi",     "arith.shrui",     "arith.minsi",
       "arith.maxsi", "arith.minui", "arith.maxui", "tt.mulhiui",  "arith.ceildivsi", "arith.floordivsi"},
      {"arith.addf", "arith.subf", "arith.mulf", "arith.divf", "arith.remf", "arith.minnumf", "arith.maxnumf",
       "arith.minimumf", "arith.maximumf", "tt.precise_divf", "tt.approx_divf"},
      {"math.exp", "math.exp2", "math.log", "math.log2", "math.sin", "math.cos", "math.tanh", "math.erf", "math.sqrt",
       "math.rsqrt", "math.absf", "math.floor", "math.ceil", "arith.negf", "tt.precise_sqrt"},
      {"cmpi eq,", "cmpi ne,", "cmpi slt,", "cmpi sle,", "cmpi sgt,", "cmpi sge,", "cmpi ult,", "cmpi ule,",
       "cmpi ugt,", "cmpi uge,"},
      {"cmpf oeq,", "cmpf ogt,", "cmpf oge,", "cmpf olt,", "cmpf ole,", "cmpf one,", "cmpf ord,", "cmpf ueq,",
       "cmpf ugt,", "cmpf uge,", "cmpf ult,", "cmpf ule,", "cmpf une,", "cmpf uno,"},
      {"arith.extsi", "arith.extui", "arith.trunci", "arith.sitofp", "arith.uitofp", "arith.bitcast", "tt.bitcast"},
      {"arith.extf", "arith.truncf", "tt.fp_to_fp", "arith.fptosi", "arith.fptoui"},
      {"atomic_rmw add", "atomic_rmw fadd", "atomic_rmw max", "atomic_rmw min", "atomic_rmw umax", "atomic_rmw umin",
       "atomic_rmw and", "atomic_rmw or", "atomic_rmw xor", "atomic_rmw exch"},
      {"descriptor_reduce add", "descriptor_reduce min", "descriptor_reduce max", "descriptor_reduce and",
       "descriptor_reduce xor", "descriptor_reduce inc"},
      {"acq_rel", "relaxed", "acquire", "release"},
      {"axis = 0", "axis = 1", "axis = 2"},
      {"reverse = false", "reverse = true"},
      {"lhs = e2m1", "lhs = e4m3", "lhs = e5m2", "lhs = bf16", "lhs = fp16"},
      {"rhs = e2m1", "rhs = e4m3", "rhs = e5m2", "rhs = bf16", "rhs = fp16"},
      {"inputPrecision = tf32", "inputPrecision = ieee", "inputPrecision = bf16x3"},
      {"boundaryCheck = array<i32: 0>", "boundaryCheck = array<i32: 1>", "boundaryCheck = array<i32: 0, 1>"},
      {"padding = 1", "padding = 2"},
      {"isVolatile = true", "isVolatile = false"},
      {"program_id x", "program_id y", "program_id z"},
      {"<f32>", "<f16>", "<i32>", "<i8>", "<i64>", "<bf16>"},
      {"tt.reduce", "tt.scan"},
  };
  return all;
}

std::string fresh(Random &random) { return "%z" + std::to_string(random.next() % 1000000); }

} // namespace opw::fuzz
