#include "ir/type.h"

namespace opw::ir {

namespace {

struct ElemInfo {
  std::string_view name;
  uint8_t bits;
  bool isFloat;
};

constexpr std::array<ElemInfo, kElemCount> kElems = {{
    {"i1", 1, false},
    {"i4", 4, false},
    {"i8", 8, false},
    {"i16", 16, false},
    {"i32", 32, false},
    {"i64", 64, false},
    {"f8E4M3FN", 8, true},
    {"f8E5M2", 8, true},
    {"f8E4M3FNUZ", 8, true},
    {"f8E5M2FNUZ", 8, true},
    {"f16", 16, true},
    {"bf16", 16, true},
    {"f32", 32, true},
    {"f64", 64, true},
}};

const ElemInfo &info(Elem elem) { return kElems[static_cast<unsigned>(elem)]; }

} // namespace

bool isInteger(Elem elem) { return !info(elem).isFloat; }
bool isFloat(Elem elem) { return info(elem).isFloat; }
unsigned bitWidth(Elem elem) { return info(elem).bits; }
unsigned byteWidth(Elem elem) { return (info(elem).bits + 7u) / 8u; }
std::string_view name(Elem elem) { return info(elem).name; }

bool parseElem(std::string_view text, Elem &elem) {
  for (unsigned i = 0; i < kElemCount; ++i) {
    if (kElems[i].name == text) {
      elem = static_cast<Elem>(i);
      return true;
    }
  }
  return false;
}

unsigned Type::log2size() const {
  unsigned sum = 0;
  for (unsigned axis = 0; axis < rank; ++axis)
    sum += log2dim[axis];
  return sum;
}

Type Type::element() const { return Type{.elem = elem, .pointerDepth = pointerDepth}; }

Type Type::withElem(Elem other) const { return Type{.elem = other, .rank = rank, .log2dim = log2dim}; }

std::string Type::str() const {
  std::string dims;
  for (unsigned axis = 0; axis < rank; ++axis)
    dims += std::to_string(dim(axis)) + "x";
  std::string out;
  if (kind == TypeKind::Descriptor) {
    std::string_view sign = signedness > 0 ? "s" : signedness < 0 ? "u" : "";
    return "!tt.tensordesc<" + dims + std::string(sign) + std::string(name(elem)) + ">";
  }
  for (unsigned depth = 0; depth < pointerDepth; ++depth)
    out += "!tt.ptr<";
  out += name(elem);
  out.append(pointerDepth, '>');
  if (rank > 0)
    out = "tensor<" + dims + out + ">";
  return kind == TypeKind::BlockPointer ? "!tt.ptr<" + out + ">" : out;
}

} // namespace opw::ir
