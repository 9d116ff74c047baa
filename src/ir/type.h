// Types of IR values: an element type with pointer levels, a tile of them, or an opaque block reference.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace opw::ir {

/// Element types. The order is fixed: tables are indexed by it.
enum class Elem : uint8_t {
  I1,
  I4,
  I8,
  I16,
  I32,
  I64,
  F8E4M3FN,
  F8E5M2,
  F8E4M3FNUZ,
  F8E5M2FNUZ,
  F16,
  BF16,
  F32,
  F64,
};
inline constexpr unsigned kElemCount = 14;

bool isInteger(Elem elem);
bool isFloat(Elem elem);
/// Bits of a value; i1 has 1 although it takes a byte in memory.
unsigned bitWidth(Elem elem);
/// Bytes of an element in memory: i1 and i4 take one byte.
unsigned byteWidth(Elem elem);
/// MLIR's spelling: "i1", "f8E4M3FN", "bf16", ...
std::string_view name(Elem elem);
/// The element of that spelling; returns false when there is none.
bool parseElem(std::string_view text, Elem &elem);

/// Extents are powers of two and stored as logarithms, so a tile of 2^20 elements can have rank 20.
inline constexpr unsigned kMaxRank = 20;

enum class TypeKind : uint8_t {
  Value,        ///< scalar (rank 0) or tile of `elem`, or of pointers to it where pointerDepth > 0
  BlockPointer, ///< !tt.ptr<tensor<...>>: pointer to a block of that shape
  Descriptor,   ///< !tt.tensordesc<...>: tensor descriptor with that block shape
};

/// A plain value: compared and copied as one.
struct Type {
  Elem elem = Elem::I32;
  TypeKind kind = TypeKind::Value;
  uint8_t pointerDepth = 0; ///< 0: `elem` itself, 1: pointer to it, 2: pointer to pointer
  uint8_t rank = 0;
  int8_t signedness = 0; ///< descriptors of integers: 1 signed, -1 unsigned, 0 not said
  std::array<uint8_t, kMaxRank> log2dim{};

  static Type scalar(Elem elem) { return Type{.elem = elem}; }
  static Type pointer(Elem pointee) { return Type{.elem = pointee, .pointerDepth = 1}; }

  bool isPointer() const { return pointerDepth > 0; }
  bool isScalar() const { return kind == TypeKind::Value && rank == 0; }
  bool isTile() const { return kind == TypeKind::Value && rank > 0; }
  bool isIntegerLike() const { return kind == TypeKind::Value && !isPointer() && isInteger(elem); }
  bool isFloatLike() const { return kind == TypeKind::Value && !isPointer() && isFloat(elem); }
  int64_t dim(unsigned axis) const { return int64_t{1} << log2dim[axis]; }
  unsigned log2size() const;
  int64_t size() const { return int64_t{1} << log2size(); }
  /// The same element type without a shape.
  Type element() const;
  /// The same shape with another element type that is not a pointer.
  Type withElem(Elem other) const;
  /// Bits of one element in memory or in a register; pointers have 64.
  unsigned elementBits() const { return isPointer() ? 64 : bitWidth(elem); }

  bool operator==(const Type &) const = default;
  /// MLIR's spelling: "tensor<64x32xf32>", "!tt.ptr<f16>", "i1".
  std::string str() const;
};

} // namespace opw::ir
