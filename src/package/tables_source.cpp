#include "package/tables_source.h"

#include "package/names.h"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <set>

namespace opw::package {
namespace {

// Every member is printed below. A struct that grows must grow here too.
static_assert(sizeof(opw_tables_t) == 120 && sizeof(opw_op_t) == 320 && sizeof(opw_io_t) == 56 &&
              sizeof(opw_seg_t) == 32 && sizeof(opw_attr_t) == 56 && sizeof(opw_attr_value_t) == 16 &&
              sizeof(opw_size_t) == 48 && sizeof(opw_program_t) == 16 && sizeof(opw_insn_t) == 8 &&
              sizeof(opw_typevar_t) == 16 && sizeof(opw_tactic_t) == 16 && sizeof(opw_tuned_t) == 16 &&
              sizeof(opw_plan_t) == 32 && sizeof(opw_launch_t) == 112 && sizeof(opw_arg_t) == 32 &&
              sizeof(opw_variant_t) == 40 && sizeof(opw_guard_t) == 8 && sizeof(opw_workspace_t) == 48 &&
              sizeof(opw_kernel_t) == 88 && sizeof(opw_cpu_image_t) == 48 && sizeof(opw_param_t) == 8);

struct Refusal {
  std::string what;
};

struct Named {
  uint32_t value;
  const char *name;
};

constexpr Named kOperations[] = {{OPW_X_INT, "INT"},
                                 {OPW_X_POOL, "POOL"},
                                 {OPW_X_DIM, "DIM"},
                                 {OPW_X_DIM_AT, "DIM_AT"},
                                 {OPW_X_RANK, "RANK"},
                                 {OPW_X_NUMEL, "NUMEL"},
                                 {OPW_X_STRIDE, "STRIDE"},
                                 {OPW_X_PRESENT, "PRESENT"},
                                 {OPW_X_COUNT, "COUNT"},
                                 {OPW_X_SUMDIM, "SUMDIM"},
                                 {OPW_X_ATTR, "ATTR"},
                                 {OPW_X_ATTR_AT, "ATTR_AT"},
                                 {OPW_X_ATTR_LEN, "ATTR_LEN"},
                                 {OPW_X_VALUE, "VALUE"},
                                 {OPW_X_VAR, "VAR"},
                                 {OPW_X_SIZE, "SIZE"},
                                 {OPW_X_ITEMSIZE, "ITEMSIZE"},
                                 {OPW_X_FPOOL, "FPOOL"},
                                 {OPW_X_FATTR, "FATTR"},
                                 {OPW_X_FATTR_AT, "FATTR_AT"},
                                 {OPW_X_ADD, "ADD"},
                                 {OPW_X_SUB, "SUB"},
                                 {OPW_X_MUL, "MUL"},
                                 {OPW_X_FDIV, "FDIV"},
                                 {OPW_X_CDIV, "CDIV"},
                                 {OPW_X_MOD, "MOD"},
                                 {OPW_X_MIN, "MIN"},
                                 {OPW_X_MAX, "MAX"},
                                 {OPW_X_EQ, "EQ"},
                                 {OPW_X_NE, "NE"},
                                 {OPW_X_LT, "LT"},
                                 {OPW_X_LE, "LE"},
                                 {OPW_X_AND, "AND"},
                                 {OPW_X_OR, "OR"},
                                 {OPW_X_NOT, "NOT"},
                                 {OPW_X_NEG, "NEG"},
                                 {OPW_X_ABS, "ABS"},
                                 {OPW_X_NPOW2, "NPOW2"},
                                 {OPW_X_SELECT, "SELECT"},
                                 {OPW_X_FADD, "FADD"},
                                 {OPW_X_FSUB, "FSUB"},
                                 {OPW_X_FMUL, "FMUL"},
                                 {OPW_X_FDIVF, "FDIVF"},
                                 {OPW_X_FMIN, "FMIN"},
                                 {OPW_X_FMAX, "FMAX"},
                                 {OPW_X_FNEG, "FNEG"},
                                 {OPW_X_FSQRT, "FSQRT"},
                                 {OPW_X_FLT, "FLT"},
                                 {OPW_X_FEQ, "FEQ"},
                                 {OPW_X_I2F, "I2F"},
                                 {OPW_X_FLOOR, "FLOOR"},
                                 {OPW_X_CEIL, "CEIL"},
                                 {OPW_X_ROUND, "ROUND"}};
constexpr Named kAttrKinds[] = {{OPW_ATTR_NONE, "NONE"},       {OPW_ATTR_INT, "INT"},       {OPW_ATTR_FLOAT, "FLOAT"},
                                {OPW_ATTR_BOOL, "BOOL"},       {OPW_ATTR_STRING, "STRING"}, {OPW_ATTR_BYTES, "BYTES"},
                                {OPW_ATTR_INTS, "INTS"},       {OPW_ATTR_FLOATS, "FLOATS"}, {OPW_ATTR_BOOLS, "BOOLS"},
                                {OPW_ATTR_STRINGS, "STRINGS"}, {OPW_ATTR_TENSOR, "TENSOR"}, {OPW_ATTR_ENUM, "ENUM"},
                                {OPW_ATTR_DTYPE, "DTYPE"}};
constexpr Named kSegments[] = {
    {OPW_SEG_DIM, "DIM"}, {OPW_SEG_SLICE, "SLICE"}, {OPW_SEG_ATTR, "ATTR"}, {OPW_SEG_VALUES, "VALUES"}};
constexpr Named kArguments[] = {{OPW_ARG_POINTER, "POINTER"},   {OPW_ARG_STRIDE, "STRIDE"},
                                {OPW_ARG_PROGRAM, "PROGRAM"},   {OPW_ARG_ATTR, "ATTR"},
                                {OPW_ARG_CONSTANT, "CONSTANT"}, {OPW_ARG_DESCRIPTOR, "DESCRIPTOR"},
                                {OPW_ARG_NULL, "NULL"}};
constexpr Named kGuards[] = {{OPW_GUARD_DIVISIBLE, "DIVISIBLE"}, {OPW_GUARD_EQUAL, "EQUAL"},
                             {OPW_GUARD_AT_LEAST, "AT_LEAST"},   {OPW_GUARD_AT_MOST, "AT_MOST"},
                             {OPW_GUARD_NULL, "NULL"},           {OPW_GUARD_SET, "SET"}};
constexpr Named kLaunches[] = {{OPW_LAUNCH_KERNEL, "KERNEL"}, {OPW_LAUNCH_FILL, "FILL"}};
constexpr Named kParams[] = {{OPW_PARAM_POINTER, "POINTER"},
                             {OPW_PARAM_SCALAR, "SCALAR"},
                             {OPW_PARAM_DROPPED, "DROPPED"},
                             {OPW_PARAM_DESC_TMA, "DESC_TMA"},
                             {OPW_PARAM_DESC_PLAIN, "DESC_PLAIN"}};
constexpr Named kLevels[] = {{OPW_LEVEL_X86_64_V3, "X86_64_V3"},
                             {OPW_LEVEL_X86_64_V4, "X86_64_V4"},
                             {OPW_LEVEL_X86_64_V4_BF16, "X86_64_V4_BF16"},
                             {OPW_LEVEL_X86_64_V4_AMX, "X86_64_V4_AMX"},
                             {OPW_LEVEL_AARCH64, "AARCH64"},
                             {OPW_LEVEL_AARCH64_SVE, "AARCH64_SVE"}};
constexpr Named kIoFlags[] = {{OPW_IO_OPTIONAL, "OPTIONAL"}, {OPW_IO_VARIADIC, "VARIADIC"}, {OPW_IO_HOST, "HOST"},
                              {OPW_IO_STRIDED, "STRIDED"},   {OPW_IO_SIZE, "SIZE"},         {OPW_IO_COMPACT, "COMPACT"},
                              {OPW_IO_INPLACE, "INPLACE"}};
constexpr Named kOpFlags[] = {{OPW_OP_NEEDS_MINOR, "NEEDS_MINOR"},
                              {OPW_OP_DATA_DEPENDENT, "DATA_DEPENDENT"},
                              {OPW_OP_MUTATES, "MUTATES"},
                              {OPW_OP_NONDETERMINISTIC, "NONDETERMINISTIC"}};

/// The enumerator of plugin.h, or the number where it has none.
template <size_t N> std::string nameOf(const Named (&names)[N], const char *prefix, uint32_t value) {
  for (const Named &n : names)
    if (n.value == value)
      return std::string(prefix) + n.name;
  return std::to_string(value);
}
template <size_t N> std::string flagsOf(const Named (&names)[N], const char *prefix, uint32_t value) {
  std::string text;
  for (const Named &n : names)
    if (value & n.value) {
      text += (text.empty() ? "" : " | ") + std::string(prefix) + n.name;
      value &= ~n.value;
    }
  return value == 0 ? text : text + (text.empty() ? "" : " | ") + std::to_string(value) + "u";
}

std::string dtypeOf(uint8_t dtype) {
  std::string name = dtypeName(dtype);
  for (char &c : name)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return dtype == OPW_NONE ? "OPW_NONE" : "OPW_" + name;
}

std::string integer(int64_t v) {
  if (v == INT64_MIN)
    return "INT64_MIN";
  return v >= INT32_MIN && v <= INT32_MAX ? std::to_string(v) : "INT64_C(" + std::to_string(v) + ")";
}
std::string small(int32_t v) { return v == INT32_MAX ? "INT32_MAX" : v == INT32_MIN ? "INT32_MIN" : std::to_string(v); }
std::string real(double v) {
  if (std::isnan(v))
    return "__builtin_nan(\"\")";
  if (std::isinf(v))
    return v < 0 ? "-__builtin_inf()" : "__builtin_inf()";
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", v);
  if (std::string short17 = text; short17.find_first_of(".e") == short17.npos)
    return short17 + ".0";
  return text;
}

/// A string literal of ASCII alone, a line of it per line of the text.
std::string literal(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c == '\n') {
      out += i + 1 < text.size() ? "\\n\"\n    \"" : "\\n";
    } else if (c < 32 || c > 126 || (c == '?' && i > 0 && text[i - 1] == '?')) { // no trigraphs
      char octal[8];
      std::snprintf(octal, sizeof octal, "\\%03o", c);
      out += octal;
    } else {
      out += text[i];
    }
  }
  return out + '"';
}

/// The designated initialisers of one struct; members that are zero are left out.
class Fields {
public:
  Fields &add(const char *name, const std::string &value) {
    if (!value.empty())
      items.push_back("." + std::string(name) + " = " + value);
    return *this;
  }
  Fields &count(const char *name, uint64_t value) { return add(name, value ? std::to_string(value) : ""); }
  Fields &string(const char *name, const char *value) { return add(name, value ? literal(value) : ""); }
  /// On one line, or a line per member.
  std::string braced() const { return items.empty() ? "{0}" : "{" + joined(", ") + "}"; }
  std::string lines() const { return items.empty() ? "{0}" : "{\n    " + joined(",\n    ") + "}"; }

private:
  std::vector<std::string> items;

  std::string joined(const char *separator) const {
    std::string text;
    for (const std::string &item : items)
      text += (text.empty() ? "" : separator) + item;
    return text;
  }
};

class Printer {
public:
  Printer(const opw_tables_t &tables, const Request &request, const std::vector<KernelObject> &objects)
      : tables(tables), request(request), objects(objects) {}

  std::string print() {
    if (tables.constant_count)
      throw Refusal{"baked tensors"};
    head();
    std::vector<std::string> ops, kernels;
    for (uint32_t k = 0; k < tables.kernel_count; ++k)
      kernels.push_back(kernel(*tables.kernels[k], k));
    for (uint32_t i = 0; i < tables.op_count; ++i)
      ops.push_back(op(*tables.ops[i], request.ops[i]));
    section("the library");
    std::vector<std::string> devices;
    for (uint32_t i = 0; i < tables.device_count; ++i)
      devices.push_back(literal(tables.devices[i]));
    std::string bytes;
    for (size_t i = 0; i < sizeof tables.hash; ++i)
      bytes += (i ? ", " : "") + std::to_string(tables.hash[i]);
    out += "static _Alignas(64) unsigned char state[" + std::to_string(tables.state_bytes) + "];\n";
    Fields f = table("opw_tables_t");
    f.count("abi_minor", tables.abi_minor).string("name", tables.name).string("producer", tables.producer);
    f.add("hash", "{" + bytes + "}");
    f.add("ops", pointers("opw_op_t", "ops", ops)).add("kernels", pointers("opw_kernel_t", "kernels", kernels));
    f.add("devices", strings("devices", devices));
    f.count("op_count", tables.op_count).count("kernel_count", tables.kernel_count);
    f.count("device_count", tables.device_count).add("state", "state").count("state_bytes", tables.state_bytes);
    out += "__attribute__((visibility(\"hidden\"))) const opw_tables_t opw_tables = " + f.lines() + ";\n";
    return out;
  }

private:
  const opw_tables_t &tables;
  const Request &request;
  const std::vector<KernelObject> &objects;
  std::string out;
  std::set<std::string> names{"state", "opw_tables"};

  void head() {
    out += comment("The tables of " + std::string(tables.name) + ", made by " + tables.producer +
                   ": the structs of opwright/plugin.h, filled in. What is 0 is left out.") +
           "\n#include <opwright/plugin.h>\n";
  }
  static std::string comment(std::string text) {
    for (size_t at; (at = text.find("*/")) != text.npos;)
      text.replace(at, 2, "* /");
    return "/* " + text + " */";
  }
  void section(const std::string &title) { out += "\n" + comment("---- " + title + " ----") + "\n\n"; }

  /// A name of C that is not taken yet.
  std::string fresh(const std::string &wish) {
    std::string base;
    for (char c : wish)
      base += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    std::string name = base;
    for (int n = 2; !names.insert(name).second; ++n)
      name = base + "_" + std::to_string(n);
    return name;
  }

  static Fields table(const std::string &type) { return Fields().add("struct_size", "sizeof(" + type + ")"); }

  std::string define(const std::string &type, const std::string &wish, const Fields &fields) {
    std::string name = fresh(wish);
    out += "static const " + type + " " + name + " = " + fields.lines() + ";\n";
    return name;
  }
  /// An array of structs or numbers; "" where it is empty.
  std::string array(const std::string &type, const std::string &wish, const std::vector<std::string> &items) {
    if (items.empty())
      return "";
    std::string name = fresh(wish), body;
    size_t width = 0;
    for (const std::string &item : items)
      width += item.size() + 2;
    for (size_t i = 0; i < items.size(); ++i)
      body += (width > 90 ? "\n    " : i ? " " : "") + items[i] + (i + 1 < items.size() ? "," : "");
    out += "static const " + type + " " + name + "[] = {" + body + "};\n";
    return name;
  }
  /// An array of pointers to tables that are defined already.
  std::string pointers(const std::string &type, const std::string &wish, const std::vector<std::string> &targets) {
    std::vector<std::string> items;
    for (const std::string &t : targets)
      items.push_back("&" + t);
    return array(type + " *const", wish, items);
  }
  std::string strings(const std::string &wish, const std::vector<std::string> &literals) {
    return array("char *const", wish, literals);
  }

  // ---- programs

  /// `text` is the expression that it was compiled from.
  std::string program(const opw_program_t &p, const std::string &wish, const std::string &text) {
    if (p.count == 0)
      return "";
    out += comment(text) + "\n";
    std::vector<std::string> code;
    for (uint32_t i = 0; i < p.count; ++i)
      code.push_back(Fields()
                         .add("op", nameOf(kOperations, "OPW_X_", p.code[i].op))
                         .count("b", p.code[i].b)
                         .add("imm", p.code[i].imm ? small(p.code[i].imm) : "")
                         .braced());
    Fields f;
    f.add("code", array("opw_insn_t", wish, code)).count("count", p.count);
    return f.count("is_float", p.is_float).count("depth", p.depth).braced();
  }

  // ---- kernels

  const KernelObject &objectOf(uint32_t kernel, uint32_t level) const {
    for (const KernelObject &o : objects)
      if (o.kernel == request.kernels[kernel].id && levelByName(o.level) == level)
        return o;
    throw Refusal{"a kernel without an object"};
  }

  std::string kernel(const opw_kernel_t &k, uint32_t index) {
    if (k.cuda_count)
      throw Refusal{"kernels for CUDA"};
    const std::string &id = request.kernels[index].id;
    section("kernel " + id);
    std::vector<std::string> images;
    for (uint32_t i = 0; i < k.cpu_count; ++i) {
      const opw_cpu_image_t &image = *k.cpu[i];
      const KernelObject &object = objectOf(index, image.level);
      out += "__attribute__((visibility(\"hidden\"))) int32_t " + object.entry +
             "(const opw_cpu_args_t *, int64_t, int64_t, opw_cpu_scratch_t *);\n";
      std::vector<std::string> params;
      for (uint32_t p = 0; p < image.param_count; ++p) {
        const opw_param_t &param = image.params[p];
        params.push_back(Fields()
                             .add("kind", nameOf(kParams, "OPW_PARAM_", param.kind))
                             .add("dtype", param.dtype ? dtypeOf(param.dtype) : "")
                             .count("rank", param.rank)
                             .count("desc", param.desc)
                             .count("offset", param.offset)
                             .braced());
      }
      std::string wish = "kernel_" + id + "_" + object.level;
      Fields f = table("opw_cpu_image_t");
      f.add("level", nameOf(kLevels, "OPW_LEVEL_", image.level)).add("entry", object.entry);
      f.add("params", array("opw_param_t", wish + "_params", params)).count("param_count", image.param_count);
      f.add("flags", image.flags == OPW_CPU_ORDERED ? "OPW_CPU_ORDERED"
                     : image.flags                  ? std::to_string(image.flags)
                                                    : "");
      f.count("scratch_bytes", image.scratch_bytes).add("grain", image.grain ? integer(image.grain) : "");
      images.push_back(define("opw_cpu_image_t", wish, f));
    }
    std::string bytes;
    for (size_t i = 0; i < sizeof k.hash; ++i)
      bytes += (i ? ", " : "") + std::to_string(k.hash[i]);
    Fields f = table("opw_kernel_t");
    f.count("line", k.line).string("name", k.name).string("file", k.file).string("signature", k.signature);
    f.add("hash", "{" + bytes + "}").add("cpu", pointers("opw_cpu_image_t", "kernel_" + id + "_cpu", images));
    return define("opw_kernel_t", "kernel_" + id, f.count("cpu_count", k.cpu_count));
  }

  // ---- ops

  std::string value(const opw_attr_value_t &v, const std::string &wish) {
    if (v.kind == OPW_ATTR_NONE)
      return "";
    std::vector<std::string> items;
    for (uint32_t i = 0; i < v.count; ++i) {
      if (v.kind == OPW_ATTR_INTS)
        items.push_back(integer(v.u.ints[i]));
      else if (v.kind == OPW_ATTR_FLOATS)
        items.push_back(real(v.u.floats[i]));
      else if (v.kind == OPW_ATTR_BOOLS)
        items.push_back(std::to_string(v.u.bools[i]));
      else if (v.kind == OPW_ATTR_STRINGS)
        items.push_back(literal(v.u.strings[i]));
    }
    std::string u;
    switch (v.kind) {
    case OPW_ATTR_FLOAT:
      u = ".f = " + real(v.u.f);
      break;
    case OPW_ATTR_STRING:
      u = ".s = " + literal(v.u.s);
      break;
    case OPW_ATTR_INTS:
      u = items.empty() ? "" : ".ints = " + array("int64_t", wish, items);
      break;
    case OPW_ATTR_FLOATS:
      u = items.empty() ? "" : ".floats = " + array("double", wish, items);
      break;
    case OPW_ATTR_BOOLS:
      u = items.empty() ? "" : ".bools = " + array("uint8_t", wish, items);
      break;
    case OPW_ATTR_STRINGS:
      u = items.empty() ? "" : ".strings = " + strings(wish, items);
      break;
    case OPW_ATTR_BYTES:
    case OPW_ATTR_TENSOR:
      throw Refusal{"defaults of bytes and tensors"};
    default:
      u = v.u.i ? ".i = " + integer(v.u.i) : "";
    }
    Fields f;
    f.add("kind", nameOf(kAttrKinds, "OPW_ATTR_", v.kind)).count("count", v.count);
    return f.add("u", u.empty() ? "" : "{" + u + "}").braced();
  }

  std::string attr(const opw_attr_t &a, const std::string &wish) {
    std::vector<std::string> choices;
    for (uint32_t i = 0; i < a.choice_count; ++i)
      choices.push_back(literal(a.choices[i]));
    Fields f = table("opw_attr_t");
    f.add("kind", nameOf(kAttrKinds, "OPW_ATTR_", a.kind)).string("name", a.name).string("doc", a.doc);
    f.add("fallback", value(a.fallback, wish + "_default")).add("choices", strings(wish + "_choices", choices));
    return define("opw_attr_t", wish, f.count("choice_count", a.choice_count).count("list_length", a.list_length));
  }

  std::string io(const opw_io_t &t, const std::string &wish, const IoRequest &source) {
    std::vector<std::string> segs;
    for (uint32_t i = 0; i < t.seg_count; ++i) {
      const opw_seg_t &s = t.segs[i];
      Fields f;
      f.add("kind", nameOf(kSegments, "OPW_SEG_", s.kind)).count("index", s.index);
      f.add("from", s.from ? small(s.from) : "").add("to", s.to ? small(s.to) : "");
      segs.push_back(f.add("dim", program(s.dim, wish + "_dim" + std::to_string(i), source.shape[i])).braced());
    }
    Fields f = table("opw_io_t");
    f.add("flags", flagsOf(kIoFlags, "OPW_IO_", t.flags)).string("name", t.name).string("doc", t.doc);
    f.count("typevar", t.typevar).add("alias", t.alias ? std::to_string(t.alias) : "");
    f.count("rank_min", t.rank_min).count("rank_max", t.rank_max).count("align", t.align);
    f.count("variadic_min", t.variadic_min).count("seg_count", t.seg_count);
    f.add("segs", array("opw_seg_t", wish + "_shape", segs)).count("formats", t.formats);
    return define("opw_io_t", wish, f);
  }

  std::string size(const opw_size_t &s, const std::string &wish, const SizeRequest &source) {
    Fields f = table("opw_size_t").count("output", s.output).string("name", s.name);
    f.add("upper", program(s.upper, wish + "_upper", source.upper));
    return define("opw_size_t", wish, f.add("typical", program(s.typical, wish + "_typical", source.typical)));
  }

  std::string typevar(const opw_typevar_t &t, const std::string &wish) {
    std::string allowed;
    for (uint8_t d = 0; d < 32; ++d)
      if (t.allowed >> d & 1)
        allowed += (allowed.empty() ? "" : " | ") + ("1u << " + (d <= OPW_F8E8M0 ? dtypeOf(d) : std::to_string(d)));
    return define("opw_typevar_t", wish, table("opw_typevar_t").add("allowed", allowed).string("name", t.name));
  }

  std::string launch(const opw_launch_t &l, const std::string &wish, const LaunchRequest &source) {
    std::vector<std::string> args, variants;
    for (uint32_t i = 0; i < l.arg_count; ++i) {
      const opw_arg_t &a = l.args[i];
      if (a.kind == OPW_ARG_DESCRIPTOR || a.kind == OPW_ARG_CONSTANT)
        throw Refusal{"descriptors and baked tensors as arguments"};
      Fields f;
      f.add("kind", nameOf(kArguments, "OPW_ARG_", a.kind)).count("axis", a.axis).count("tensor", a.tensor);
      f.count("index", a.index).add("program", program(a.program, wish + "_arg" + std::to_string(i), source.args[i]));
      args.push_back(f.braced());
    }
    for (uint32_t i = 0; i < l.variant_count; ++i) {
      const opw_variant_t &v = l.variants[i];
      std::string name = wish + "_variant" + std::to_string(i);
      std::vector<std::string> guards;
      for (uint32_t g = 0; g < v.guard_count; ++g)
        guards.push_back(Fields()
                             .add("kind", nameOf(kGuards, "OPW_GUARD_", v.guards[g].kind))
                             .count("arg", v.guards[g].arg)
                             .add("value", v.guards[g].value ? small(v.guards[g].value) : "")
                             .braced());
      Fields f;
      f.add("guards", array("opw_guard_t", name + "_guards", guards)).count("guard_count", v.guard_count);
      f.count("kernel", v.kernel)
          .add("when", program(v.when, name + "_when", source.variants[i].when))
          .string("reason", v.reason);
      variants.push_back(f.braced() + " " + comment(request.kernels[v.kernel].id));
    }
    Fields f = table("opw_launch_t");
    f.add("kind", nameOf(kLaunches, "OPW_LAUNCH_", l.kind)).count("phase", l.phase);
    f.count("fill_tensor", l.fill_tensor).count("fill_byte", l.fill_byte).count("arg_count", l.arg_count);
    f.add("args", array("opw_arg_t", wish + "_args", args));
    f.add("variants", array("opw_variant_t", wish + "_variants", variants)).count("variant_count", l.variant_count);
    f.add("when", program(l.when, wish + "_when", source.when));
    std::string grid;
    for (size_t axis = 0; axis < 3; ++axis) {
      std::string text = axis < source.grid.size() ? source.grid[axis] : "";
      std::string p = program(l.grid[axis], wish + "_grid_" + "xyz"[axis], text);
      grid += (axis ? ", " : "") + (p.empty() ? "{0}" : p);
    }
    return define("opw_launch_t", wish, f.add("grid", "{" + grid + "}"));
  }

  std::string workspace(const opw_workspace_t &w, const std::string &wish, const WorkspaceRequest &source) {
    Fields f = table("opw_workspace_t");
    f.count("align", w.align).add("dtype", dtypeOf(w.dtype));
    f.add("elements", program(w.elements, wish + "_elements", source.elements));
    f.add("upper", program(w.upper, wish + "_upper", source.upper));
    return define("opw_workspace_t", wish, f);
  }

  std::string plan(const opw_plan_t &p, const std::string &wish, const PlanRequest &source) {
    Fields f = table("opw_plan_t");
    std::vector<std::string> launches, buffers;
    for (uint32_t i = 0; i < p.launch_count; ++i)
      launches.push_back(launch(*p.launches[i], wish + "_launch" + std::to_string(i), source.launches[i]));
    for (uint32_t i = 0; i < p.workspace_count; ++i)
      buffers.push_back(workspace(*p.workspace[i], wish + "_workspace" + std::to_string(i), source.workspace[i]));
    f.count("launch_count", p.launch_count).add("launches", pointers("opw_launch_t", wish + "_launches", launches));
    f.add("workspace", pointers("opw_workspace_t", wish + "_workspaces", buffers));
    return define("opw_plan_t", wish, f.count("workspace_count", p.workspace_count));
  }

  /// Tables of one kind: each printed by `one`, which gets its number, then the array of pointers to them.
  template <typename T, typename Print>
  std::string each(const char *type, const T *const *list, uint32_t count, const std::string &wish, Print one) {
    std::vector<std::string> defined;
    for (uint32_t i = 0; i < count; ++i)
      defined.push_back(one(*list[i], wish + std::to_string(i), i));
    return pointers(type, wish + "s", defined);
  }

  template <typename T, typename Print>
  std::string row(const char *type, const T *list, size_t count, const std::string &wish, Print one) {
    std::vector<std::string> items;
    for (size_t i = 0; i < count; ++i)
      items.push_back(one(list[i]));
    return array(type, wish, items);
  }

  std::string op(const opw_op_t &o, const OpRequest &source) {
    section(std::string("op ") + o.ns + "::" + o.name);
    const std::string wish = o.name;
    Fields f = table("opw_op_t");
    f.add("flags", flagsOf(kOpFlags, "OPW_OP_", o.flags)).count("min_minor", o.min_minor);
    f.add("version", std::to_string(o.version)).string("ns", o.ns).string("name", o.name).string("doc", o.doc);
    using Name = const std::string &;
    f.add("typevars", each("opw_typevar_t", o.typevars, o.typevar_count, wish + "_type",
                           [&](const opw_typevar_t &t, Name n, uint32_t) { return typevar(t, n); }));
    f.add("inputs", each("opw_io_t", o.inputs, o.input_count, wish + "_input",
                         [&](const opw_io_t &t, Name n, uint32_t i) { return io(t, n, source.inputs[i]); }));
    f.add("outputs", each("opw_io_t", o.outputs, o.output_count, wish + "_output",
                          [&](const opw_io_t &t, Name n, uint32_t i) { return io(t, n, source.outputs[i]); }));
    f.add("attrs", each("opw_attr_t", o.attrs, o.attr_count, wish + "_attr",
                        [&](const opw_attr_t &a, Name n, uint32_t) { return attr(a, n); }));
    f.add("sizes", each("opw_size_t", o.sizes, o.size_count, wish + "_size",
                        [&](const opw_size_t &s, Name n, uint32_t i) { return size(s, n, source.sizes[i]); }));
    std::vector<std::string> vars;
    for (uint32_t i = 0; i < o.var_count; ++i)
      vars.push_back(
          program(o.vars[i], wish + "_var" + std::to_string(i), source.vars[i].first + " = " + source.vars[i].second));
    f.add("vars", array("opw_program_t", wish + "_vars", vars));
    f.add("combos", row("uint8_t", o.combos, size_t{o.combo_count} * o.typevar_count, wish + "_combos",
                        [](uint8_t d) { return dtypeOf(d); }));
    f.add("tactics", each("opw_tactic_t", o.tactics, o.tactic_count, wish + "_tactic",
                          [&](const opw_tactic_t &t, Name n, uint32_t) {
                            Fields g = table("opw_tactic_t").add("id", std::to_string(t.id)).string("text", t.text);
                            return define("opw_tactic_t", n, g);
                          }));
    f.add("plans", each("opw_plan_t", o.plans, o.plan_count, wish + "_plan",
                        [&](const opw_plan_t &p, Name n, uint32_t i) { return plan(p, n, source.plans[i]); }));
    f.add("plan_index", row("uint16_t", o.plan_index, size_t{o.combo_count} * 2 * o.tactic_count, wish + "_plan_index",
                            [](uint16_t i) { return i == OPW_NO_PLAN ? "OPW_NO_PLAN" : std::to_string(i); }));
    f.add("tuned", row("opw_tuned_t", o.tuned, o.tuned_count, wish + "_tuned", [](const opw_tuned_t &t) {
            Fields g;
            g.count("device", t.device).count("combo", t.combo).count("tactic", t.tactic);
            std::string key;
            for (uint16_t k : t.key)
              key += (key.empty() ? "" : ", ") + std::to_string(k);
            return g.add("key", "{" + key + "}").braced();
          }));
    f.add("pool_i", row("int64_t", o.pool_i, o.pool_i_count, wish + "_integers", integer));
    f.add("pool_f", row("double", o.pool_f, o.pool_f_count, wish + "_reals", real));
    f.count("typevar_count", o.typevar_count).count("input_count", o.input_count);
    f.count("output_count", o.output_count).count("attr_count", o.attr_count).count("size_count", o.size_count);
    f.count("var_count", o.var_count).count("combo_count", o.combo_count).count("tactic_count", o.tactic_count);
    f.count("plan_count", o.plan_count).count("tuned_count", o.tuned_count);
    f.count("pool_i_count", o.pool_i_count).count("pool_f_count", o.pool_f_count);
    std::string keys;
    bool tuned = false;
    for (int k = 0; k < 4; ++k) {
      std::string p = program(o.tune_keys[k], wish + "_tune_key" + std::to_string(k), "tune key");
      tuned |= !p.empty();
      keys += (k ? ", " : "") + (p.empty() ? "{0}" : p);
    }
    f.add("tune_keys", tuned ? "{" + keys + "}" : "");
    f.add("flops", program(o.flops, wish + "_flops", source.flops));
    f.add("bytes", program(o.bytes, wish + "_bytes", source.bytes));
    f.add("valid", program(o.valid, wish + "_valid", source.valid)).string("valid_text", o.valid_text);
    f.string("extra_json", o.extra_json);
    return define("opw_op_t", "op_" + wish, f);
  }
};

} // namespace

Result<std::string> tablesSource(const opw_tables_t &tables, const Request &request,
                                 const std::vector<KernelObject> &objects) {
  try {
    return Printer(tables, request, objects).print();
  } catch (const Refusal &refusal) {
    Diagnostic d;
    d.message = "the sources of this plugin would need " + refusal.what + ", which are not written as C yet";
    d.hint = "build it without --emit-sources";
    return d;
  }
}

} // namespace opw::package
