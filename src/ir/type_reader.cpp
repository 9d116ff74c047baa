#include "ir/type_reader.h"

#include "support/text.h"

#include <bit>

namespace opw::ir {

namespace {

/// A tile of this many elements is the largest that Triton makes.
constexpr unsigned kMaxLog2Size = 20;

Type readElement(TokenReader &reader) {
  if (reader.at(Token::Kind::Bang) && reader.current().text == "tt.ptr") {
    Token where = reader.current();
    Type type = readType(reader);
    if (type.kind != TypeKind::Value || type.rank > 0)
      reader.fail(where, "found " + type.str() + " as an element type, expected a pointer to a scalar");
    return type;
  }
  Elem elem;
  if (!reader.at(Token::Kind::Word) || !parseElem(reader.current().text, elem))
    reader.failExpected("an element type",
                        "supported are i1, i4, i8, i16, i32, i64, f16, bf16, f32, f64, the four f8 types "
                        "f8E4M3FN, f8E5M2, f8E4M3FNUZ, f8E5M2FNUZ, and !tt.ptr of these");
  reader.advance();
  return Type::scalar(elem);
}

/// "64x32x" in front of an element type.
Type readDimensions(TokenReader &reader) {
  Type shape;
  Token where = reader.current();
  unsigned log2size = 0;
  uint64_t extent = 0;
  while (reader.takeDimension(extent)) {
    if (!std::has_single_bit(extent))
      reader.fail(where, "extent " + std::to_string(extent) + " is not a power of two",
                  "Triton tiles have extents that are powers of two; pad the block and mask the rest");
    if (shape.rank == kMaxRank)
      reader.fail(where, "a tile of more than " + std::to_string(kMaxRank) + " dimensions");
    auto log2 = static_cast<uint8_t>(std::countr_zero(extent));
    log2size += log2;
    if (log2size > kMaxLog2Size)
      reader.fail(where, "a tile of more than " + std::to_string(1u << kMaxLog2Size) + " elements",
                  "use a smaller block size");
    shape.log2dim[shape.rank++] = log2;
  }
  return shape;
}

Type withShape(Type element, const Type &shape) {
  element.rank = shape.rank;
  element.log2dim = shape.log2dim;
  return element;
}

void refuseEncoding(TokenReader &reader) {
  if (reader.at(','))
    reader.fail(reader.current(), "found a tensor with an encoding, expected none",
                "pass the module as the Triton front end makes it, before the passes that lower to TritonGPU");
}

/// Behind the word `tensor`.
Type readTensorBody(TokenReader &reader) {
  reader.expect('<', "after 'tensor'");
  Token where = reader.current();
  Type shape = readDimensions(reader);
  Type type = withShape(readElement(reader), shape);
  refuseEncoding(reader);
  if (type.rank == 0)
    reader.fail(where, "found a tensor of rank 0, expected at least one extent");
  reader.expect('>', "after a tensor type");
  return type;
}

/// The element type of a descriptor may carry a sign: si32, ui8.
Type readDescriptorElement(TokenReader &reader) {
  std::string_view text = reader.current().text;
  bool hasSign =
      reader.at(Token::Kind::Word) && text.size() > 2 && (text[0] == 's' || text[0] == 'u') && text[1] == 'i';
  Elem elem;
  if (hasSign && parseElem(text.substr(1), elem)) {
    Type type = Type::scalar(elem);
    type.signedness = text[0] == 's' ? 1 : -1;
    reader.advance();
    return type;
  }
  return readElement(reader);
}

} // namespace

Type readPointerBody(TokenReader &reader) {
  reader.expect('<', "after '!tt.ptr'");
  Token where = reader.current();
  TokenReader::Nested nested(reader);
  Type pointee = readType(reader);
  if (pointee.kind != TypeKind::Value || (pointee.isTile() && pointee.isPointer()))
    reader.fail(where, "found a pointer to " + pointee.str() +
                           ", expected a pointer to a scalar, a pointer or a tile of numbers");
  if (pointee.pointerDepth >= 2)
    reader.fail(where, "a pointer of more than two levels");
  if (pointee.isTile())
    pointee.kind = TypeKind::BlockPointer;
  else
    ++pointee.pointerDepth;
  if (reader.accept(',')) {
    Token space = reader.current();
    if (reader.takeInteger("an address space") != 1)
      reader.fail(space, "found address space " + std::string(space.text) + ", expected 1 (global memory)");
  }
  reader.expect('>', "after a pointer type");
  return pointee;
}

Type readDescriptorBody(TokenReader &reader) {
  reader.expect('<', "after '!tt.tensordesc'");
  bool wrapped = reader.acceptWord("tensor");
  if (wrapped)
    reader.expect('<', "after 'tensor'");
  Token where = reader.current();
  Type shape = readDimensions(reader);
  Type type = withShape(readDescriptorElement(reader), shape);
  refuseEncoding(reader);
  if (type.rank == 0 || type.isPointer())
    reader.fail(where, "found a descriptor of " + type.str() + ", expected a block of numbers");
  type.kind = TypeKind::Descriptor;
  if (wrapped)
    reader.expect('>', "after a tensor type");
  reader.expect('>', "after a descriptor type");
  return type;
}

bool atType(const TokenReader &reader) {
  if (reader.at(Token::Kind::Bang) || reader.atWord("tensor"))
    return true;
  Elem elem;
  return reader.at(Token::Kind::Word) && parseElem(reader.current().text, elem);
}

Type readType(TokenReader &reader) {
  if (reader.acceptWord("tensor"))
    return readTensorBody(reader);
  if (reader.at(Token::Kind::Bang)) {
    std::string_view dialectType = reader.current().text;
    if (dialectType != "tt.ptr" && dialectType != "tt.tensordesc")
      reader.failExpected("a type", "supported are !tt.ptr, !tt.tensordesc, tensor and scalars");
    reader.advance();
    return dialectType == "tt.ptr" ? readPointerBody(reader) : readDescriptorBody(reader);
  }
  if (!atType(reader))
    reader.failExpected("a type",
                        reader.atWord("index") ? "index values are not supported, Triton makes i32 and i64" : "");
  return readElement(reader);
}

} // namespace opw::ir
