// The printed form of the IR; parser.h describes its grammar.
#include "ir/module.h"
#include "ir/number.h"
#include "support/text.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace opw::ir {

namespace {

/// A keyword that could be read as something else is marked as one.
std::string keywordText(const std::string &text) {
  Elem elem;
  bool plain = isIdentifier(text) && !parseElem(text, elem) && text != "true" && text != "false" && text != "unit" &&
               text != "tensor" && text != "keyword";
  return plain ? text : "keyword " + quote(text);
}

/// A name that is no word, or that could be read as the first op of a region, stands in quotes.
std::string nameText(const std::string &name) {
  OpKind ignored;
  return isIdentifier(name) && !findOp(name, ignored) ? name : quote(name);
}

std::string symbolText(const std::string &name) { return "@" + nameText(name); }

std::string attributeText(const Attribute &attribute);

std::string namedText(const std::string &name, const Attribute &value) {
  return value.kind == Attribute::Kind::Unit ? nameText(name) : nameText(name) + " = " + attributeText(value);
}

/// [a, b] without names, {a = 1, b} with them, #text<..> for everything else.
std::string listText(const Attribute &list) {
  bool named = !list.items.empty();
  bool unnamed = true;
  bool numbers = true; // such a list in square brackets reads back as Ints
  for (const auto &[name, value] : list.items) {
    named = named && !name.empty();
    unnamed = unnamed && name.empty();
    numbers = numbers && value.kind == Attribute::Kind::Int && value.type == Type::scalar(Elem::I64);
  }
  bool general = !list.text.empty() || numbers || !(named || unnamed);
  std::string out = general ? "#" + list.text + "<" : named ? "{" : "[";
  std::string_view comma = "";
  for (const auto &[name, value] : list.items) {
    out += comma;
    comma = ", ";
    if (!general && named)
      out += namedText(name, value);
    else
      out += (name.empty() ? "" : nameText(name) + " = ") + attributeText(value);
  }
  return out + (general ? ">" : named ? "}" : "]");
}

std::string attributeText(const Attribute &attribute) {
  switch (attribute.kind) {
  case Attribute::Kind::Unit:
    return "unit";
  case Attribute::Kind::Bool:
    return attribute.integer != 0 ? "true" : "false";
  case Attribute::Kind::Int: {
    std::string out = std::to_string(attribute.integer);
    return attribute.type == Type::scalar(Elem::I64) ? out : out + " : " + attribute.type.str();
  }
  case Attribute::Kind::Float:
    return floatText(attribute.bits, attribute.type.elem) + " : " + attribute.type.str();
  case Attribute::Kind::String:
    return quote(attribute.text);
  case Attribute::Kind::Keyword:
    return keywordText(attribute.text);
  case Attribute::Kind::Symbol:
    return symbolText(attribute.text);
  case Attribute::Kind::Type:
    return attribute.type.str();
  case Attribute::Kind::Ints: {
    std::string out = "[";
    for (size_t i = 0; i < attribute.integers.size(); ++i)
      out += (i == 0 ? "" : ", ") + std::to_string(attribute.integers[i]);
    return out + "]";
  }
  case Attribute::Kind::List:
    return listText(attribute);
  }
  return "unit";
}

std::string dictionaryText(const Attributes &attributes) {
  std::string out = "{";
  std::string_view comma = "";
  for (const auto &[name, value] : attributes) {
    out += std::string(comma) + namedText(name, value);
    comma = ", ";
  }
  return out + "}";
}

/// The constant's number alone: its type is the result's.
std::string constantText(const Attribute &value) {
  if (value.kind == Attribute::Kind::Float)
    return floatText(value.bits, value.type.elem);
  return std::to_string(value.integer);
}

class FunctionPrinter {
public:
  FunctionPrinter(const Function &function, PrintLocations locations)
      : fn(function), withLocations(locations == PrintLocations::Yes), names(function.values.size()),
        labels(function.blocks.size()) {}

  std::string print() {
    printHeader();
    if (!fn.body.blocks.empty()) {
      out += " {\n";
      labelBlocks(fn.body);
      for (size_t i = 0; i < fn.body.blocks.size(); ++i) {
        if (i > 0)
          out += labelText(fn.body.blocks[i]) + ":\n";
        printOps(fn.body.blocks[i], 1);
      }
      out += "}";
    }
    out += "\n";
    return std::move(out);
  }

private:
  void printHeader() {
    out += fn.isPublic ? "func public " : "func ";
    out += symbolText(fn.name) + "(";
    if (!fn.body.blocks.empty()) {
      const std::vector<ValueId> &arguments = fn.arguments();
      for (size_t i = 0; i < arguments.size(); ++i) {
        out += (i == 0 ? "" : ", ") + define(arguments[i]) + ": " + fn.type(arguments[i]).str();
        if (i < fn.argumentAttributes.size() && !fn.argumentAttributes[i].empty())
          out += " " + dictionaryText(fn.argumentAttributes[i]);
      }
    }
    out += ")";
    if (!fn.resultTypes.empty())
      out += " -> (" + typesText(fn.resultTypes) + ")";
    if (!fn.attributes.empty())
      out += " attributes " + dictionaryText(fn.attributes);
    printLocation(fn.location);
  }

  static std::string typesText(const std::vector<Type> &types) {
    std::string text;
    for (size_t i = 0; i < types.size(); ++i)
      text += (i == 0 ? "" : ", ") + types[i].str();
    return text;
  }

  void printLocation(LocId location) {
    if (withLocations && location != kNone)
      out += " loc(" + std::to_string(location) + ")";
  }

  void printOps(BlockId block, unsigned depth) {
    for (OpId id : fn.block(block).ops)
      printOp(fn.op(id), depth);
  }

  void printOp(const Op &op, unsigned depth) {
    indent(depth);
    if (!op.results.empty())
      out += resultsText(op) + " = ";
    out += ir::name(op.kind);
    const Attribute *constant = op.kind == OpKind::Constant ? op.attributes.find("value") : nullptr;
    if (constant != nullptr && !isInlineConstant(op, *constant))
      constant = nullptr;
    Attributes rest = op.attributes;
    if (constant != nullptr) {
      out += " " + constantText(*constant);
      rest.erase("value");
    }
    std::string_view separator = " ";
    for (ValueId operand : op.operands) {
      out += std::string(separator) + use(operand);
      separator = ", ";
    }
    for (const Successor &successor : op.successors) {
      out += std::string(separator) + successorText(successor);
      separator = ", ";
    }
    if (!rest.empty())
      out += " " + dictionaryText(rest);
    if (!op.results.empty()) {
      std::vector<Type> types;
      for (ValueId result : op.results)
        types.push_back(fn.type(result));
      out += " : " + typesText(types);
    }
    printLocation(op.location);
    printRegions(op, depth);
    out += "\n";
  }

  /// Its type must follow from the result's; other constants (made by hand, wrong) show their attribute in full.
  bool isInlineConstant(const Op &op, const Attribute &value) const {
    bool isNumber = value.kind == Attribute::Kind::Float || value.kind == Attribute::Kind::Int;
    return isNumber && op.results.size() == 1 && value.type == Type::scalar(fn.type(op.results[0]).elem) &&
           !fn.type(op.results[0]).isPointer() && isFloat(value.type.elem) == (value.kind == Attribute::Kind::Float);
  }

  /// "%a", "%7:2" or, where later results have names of their own, "%a, %b".
  std::string resultsText(const Op &op) {
    bool separate = op.results.size() == 1;
    for (size_t i = 1; i < op.results.size(); ++i)
      separate = separate || !fn.values[op.results[i]].name.empty();
    std::string text;
    if (separate) {
      for (size_t i = 0; i < op.results.size(); ++i)
        text += (i == 0 ? "" : ", ") + define(op.results[i]);
      return text;
    }
    text = define(op.results[0]);
    std::string base = text;
    for (size_t i = 0; i < op.results.size(); ++i)
      names[op.results[i]] = base + "#" + std::to_string(i);
    return text + ":" + std::to_string(op.results.size());
  }

  std::string successorText(const Successor &successor) {
    std::string text = successor.block < labels.size() ? "^" + labels[successor.block] : "^?";
    for (size_t i = 0; i < successor.arguments.size(); ++i)
      text += (i == 0 ? "(" : ", ") + use(successor.arguments[i]);
    return successor.arguments.empty() ? text : text + ")";
  }

  void printRegions(const Op &op, unsigned depth) {
    size_t count = op.regions.size();
    while (count > 0 && op.regions[count - 1].blocks.empty())
      --count;
    for (size_t i = 0; i < count; ++i)
      printRegion(op.regions[i], depth);
  }

  void printRegion(const Region &region, unsigned depth) {
    out += " {";
    bool single = region.blocks.size() == 1;
    if (!single)
      labelBlocks(region);
    for (BlockId block : region.blocks) {
      bool bare = single && fn.block(block).arguments.empty();
      if (!bare) {
        out += single ? std::string(" ") : "\n" + std::string(2 * depth, ' ');
        out += labelText(block) + ":";
      }
      out += "\n";
      printOps(block, depth + 1);
      if (!out.empty() && out.back() == '\n')
        out.pop_back();
    }
    out += "\n";
    indent(depth);
    out += "}";
  }

  void labelBlocks(const Region &region) {
    for (BlockId block : region.blocks)
      labels[block] = "bb" + std::to_string(nextLabel++);
  }

  std::string labelText(BlockId block) {
    std::string text = "^" + labels[block];
    const std::vector<ValueId> &arguments = fn.block(block).arguments;
    for (size_t i = 0; i < arguments.size(); ++i)
      text += (i == 0 ? "(" : ", ") + define(arguments[i]) + ": " + fn.type(arguments[i]).str();
    return arguments.empty() ? text : text + ")";
  }

  std::string define(ValueId id) {
    const std::string &hint = fn.values[id].name;
    std::string name;
    if (!isNameHint(hint)) {
      name = std::to_string(nextNumber++);
    } else if (taken.insert(hint).second) {
      name = hint;
    } else {
      uint32_t &suffix = suffixes[hint];
      do
        name = hint + "_" + std::to_string(suffix++);
      while (!taken.insert(name).second);
    }
    return names[id] = "%" + name;
  }

  /// Letters, digits and `_.$-`, but not digits alone: those are the numbers of values without a hint.
  static bool isNameHint(const std::string &hint) {
    bool valid = std::all_of(hint.begin(), hint.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
             c == '$' || c == '-';
    });
    return valid && !hint.empty() && !(hint[0] >= '0' && hint[0] <= '9');
  }

  /// A use before its definition is a mistake that the verifier reports; it prints all the same.
  std::string use(ValueId id) {
    if (id >= names.size())
      return "%?";
    return names[id].empty() ? "%?" + std::to_string(id) : names[id];
  }

  void indent(unsigned depth) { out.append(2 * depth, ' '); }

  const Function &fn;
  bool withLocations;
  std::vector<std::string> names;
  std::vector<std::string> labels;
  std::unordered_set<std::string> taken;
  std::unordered_map<std::string, uint32_t> suffixes;
  uint32_t nextNumber = 0;
  uint32_t nextLabel = 0;
  std::string out;
};

std::string locationText(const Location &location) {
  std::string out = quote(location.file) + ":" + std::to_string(location.line) + ":" + std::to_string(location.column);
  if (!location.name.empty())
    out += " " + quote(location.name);
  if (location.callSite != kNone)
    out += " at " + std::to_string(location.callSite);
  return out;
}

} // namespace

std::string print(const Module &module, const Function &function) {
  (void)module;
  return FunctionPrinter(function, PrintLocations::No).print();
}

std::string print(const Module &module, PrintLocations locations) {
  std::string out;
  if (!module.attributes.empty())
    out += "module " + dictionaryText(module.attributes) + "\n";
  for (const Function &function : module.functions)
    out += FunctionPrinter(function, locations).print();
  if (locations == PrintLocations::Yes) {
    for (size_t i = 0; i < module.locations.size(); ++i)
      out += "loc " + std::to_string(i) + " = " + locationText(module.locations[i]) + "\n";
  }
  return out;
}

} // namespace opw::ir
