#include "package/c_text.h"

#include "opwright/plugin.h"
#include "package/names.h"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <span>

namespace opw::package::c {
namespace {

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
static_assert(std::size(kAttrKinds) == OPW_ATTR_KINDS);
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

struct Names {
  const char *prefix;
  std::span<const Named> names;
};

Names namesOf(Family family) {
  switch (family) {
  case Family::Operation:
    return {"OPW_X_", kOperations};
  case Family::Attr:
    return {"OPW_ATTR_", kAttrKinds};
  case Family::Segment:
    return {"OPW_SEG_", kSegments};
  case Family::Argument:
    return {"OPW_ARG_", kArguments};
  case Family::Guard:
    return {"OPW_GUARD_", kGuards};
  case Family::Launch:
    return {"OPW_LAUNCH_", kLaunches};
  case Family::Param:
    return {"OPW_PARAM_", kParams};
  case Family::Level:
    return {"OPW_LEVEL_", kLevels};
  case Family::IoFlag:
    return {"OPW_IO_", kIoFlags};
  case Family::OpFlag:
    break;
  }
  return {"OPW_OP_", kOpFlags};
}

void replace(std::string &text, std::string_view what, std::string_view by) {
  for (size_t at; (at = text.find(what)) != text.npos;)
    text.replace(at, what.size(), by);
}

std::string joined(const std::vector<std::string> &items, const char *separator) {
  std::string text;
  for (const std::string &item : items)
    text += (text.empty() ? "" : separator) + item;
  return text;
}

} // namespace

std::string enumerator(Family family, uint32_t value) {
  Names all = namesOf(family);
  for (const Named &n : all.names)
    if (n.value == value)
      return std::string(all.prefix) + n.name;
  return std::to_string(value);
}

std::string flags(Family family, uint32_t value) {
  Names all = namesOf(family);
  std::vector<std::string> set;
  for (const Named &n : all.names)
    if (value & n.value) {
      set.push_back(std::string(all.prefix) + n.name);
      value &= ~n.value;
    }
  if (value != 0)
    set.push_back(std::to_string(value) + "u");
  return joined(set, " | ");
}

std::string dtype(uint8_t value) {
  if (value == OPW_NONE)
    return "OPW_NONE";
  std::string name = dtypeName(value);
  for (char &c : name)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return "OPW_" + name;
}

std::string comment(std::string text) {
  replace(text, "*/", "* /");
  replace(text, "/*", "/ *");
  return "/* " + text + " */";
}

std::string integer(int64_t v) {
  if (v == INT64_MIN || v == INT32_MIN)
    return v == INT64_MIN ? "INT64_MIN" : "INT32_MIN";
  if (v == INT32_MAX)
    return "INT32_MAX";
  return v > INT32_MIN && v < INT32_MAX ? std::to_string(v) : "INT64_C(" + std::to_string(v) + ")";
}

std::string real(double v) {
  if (std::isnan(v))
    return "__builtin_nan(\"\")";
  if (std::isinf(v))
    return v < 0 ? "-__builtin_inf()" : "__builtin_inf()";
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", v);
  std::string digits = text;
  return digits.find_first_of(".e") == digits.npos ? digits + ".0" : digits;
}

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

Fields &Fields::add(const char *name, const std::string &value) {
  if (!value.empty())
    items.push_back("." + std::string(name) + " = " + value);
  return *this;
}
Fields &Fields::count(const char *name, uint64_t value) { return add(name, value ? std::to_string(value) : ""); }
Fields &Fields::number(const char *name, int64_t value) { return add(name, value ? integer(value) : ""); }
Fields &Fields::string(const char *name, const char *value) { return add(name, value ? literal(value) : ""); }

std::string Fields::braced() const { return items.empty() ? "{0}" : "{" + joined(items, ", ") + "}"; }
std::string Fields::lines() const { return items.empty() ? "{0}" : "{\n    " + joined(items, ",\n    ") + "}"; }

} // namespace opw::package::c
