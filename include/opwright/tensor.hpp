// opwright/tensor.hpp - element types, shapes, views of the caller's memory and arrays that own theirs, for plugin.hpp.
#ifndef OPWRIGHT_TENSOR_HPP
#define OPWRIGHT_TENSOR_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <opwright/plugin.h>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace opwright {

/// A refusal: status() is the opw_status_t, what() says what was found, what was expected and what to do.
class Error : public std::runtime_error {
public:
  Error(opw_status_t status, const std::string &text) : std::runtime_error(text), code(status) {}
  opw_status_t status() const noexcept { return code; }

private:
  opw_status_t code;
};

// ---- element types ------------------------------------------------------------------------------------------------

enum class DType : opw_dtype_t {
  none = OPW_NONE,
  boolean = OPW_BOOL,
  i8 = OPW_I8,
  i16 = OPW_I16,
  i32 = OPW_I32,
  i64 = OPW_I64,
  u8 = OPW_U8,
  u16 = OPW_U16,
  u32 = OPW_U32,
  u64 = OPW_U64,
  f16 = OPW_F16,
  bf16 = OPW_BF16,
  f32 = OPW_F32,
  f64 = OPW_F64,
  f8e4m3fn = OPW_F8E4M3FN,
  f8e5m2 = OPW_F8E5M2,
  f8e4m3fnuz = OPW_F8E4M3FNUZ,
  f8e5m2fnuz = OPW_F8E5M2FNUZ,
  f8e4m3b11fnuz = OPW_F8E4M3B11FNUZ,
  f8e8m0 = OPW_F8E8M0
};

namespace detail {
struct DTypeRow {
  const char *name;
  uint8_t code, bits; // as DLPack writes them
};
inline constexpr DTypeRow kDTypes[] = {
    {"none", 0, 0},    {"bool", 6, 8},        {"i8", 0, 8},          {"i16", 0, 16},          {"i32", 0, 32},
    {"i64", 0, 64},    {"u8", 1, 8},          {"u16", 1, 16},        {"u32", 1, 32},          {"u64", 1, 64},
    {"f16", 2, 16},    {"bf16", 4, 16},       {"f32", 2, 32},        {"f64", 2, 64},          {"f8e4m3fn", 10, 8},
    {"f8e5m2", 12, 8}, {"f8e4m3fnuz", 11, 8}, {"f8e5m2fnuz", 13, 8}, {"f8e4m3b11fnuz", 9, 8}, {"f8e8m0", 14, 8}};
inline const DTypeRow &rowOf(DType type) noexcept {
  auto i = static_cast<size_t>(type);
  return kDTypes[i < std::size(kDTypes) ? i : 0];
}
inline DType dtypeOf(uint8_t code, uint8_t bits) noexcept {
  for (size_t i = 1; i < std::size(kDTypes); ++i)
    if (kDTypes[i].code == code && kDTypes[i].bits == bits)
      return static_cast<DType>(i);
  return DType::none;
}
} // namespace detail

inline const char *nameOf(DType type) noexcept { return detail::rowOf(type).name; }
inline size_t bytesOf(DType type) noexcept { return detail::rowOf(type).bits / 8u; }

/// The element type of a C++ type. Specialise it for a half or bfloat16 class:
///     template <> struct opwright::ElementType<Half> : opwright::Is<opwright::DType::f16> {};
template <DType type> using Is = std::integral_constant<DType, type>;
template <class T, class = void> struct ElementType {
  static_assert(!sizeof(T), "no element type; specialise opwright::ElementType, or give the DType to the view");
};
template <> struct ElementType<bool> : Is<DType::boolean> {};
template <> struct ElementType<float> : Is<DType::f32> {};
template <> struct ElementType<double> : Is<DType::f64> {};
template <class T> struct ElementType<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>>
    : Is<sizeof(T) == 8   ? (std::is_signed_v<T> ? DType::i64 : DType::u64)
         : sizeof(T) == 4 ? (std::is_signed_v<T> ? DType::i32 : DType::u32)
         : sizeof(T) == 2 ? (std::is_signed_v<T> ? DType::i16 : DType::u16)
                          : (std::is_signed_v<T> ? DType::i8 : DType::u8)> {};
template <class T> inline constexpr DType kDTypeOf = ElementType<std::remove_cv_t<T>>::value;

// ---- shapes -------------------------------------------------------------------------------------------------------

/// Sizes, outermost first; also strides, in elements. -1 is a size that is not known yet.
class Shape {
public:
  Shape() = default;
  Shape(const Shape &other) noexcept : count(other.count) { std::copy(other.begin(), other.end(), sizes); }
  Shape &operator=(const Shape &other) noexcept {
    count = other.count;
    std::copy(other.begin(), other.end(), sizes);
    return *this;
  }
  Shape(std::initializer_list<int64_t> list) : Shape(list.begin(), list.end()) {}
  template <class Iterator> Shape(Iterator first, Iterator last) {
    for (; first != last; ++first)
      add(static_cast<int64_t>(*first));
  }
  /// Throws where there would be more than OPW_MAX_RANK axes.
  void add(int64_t size) {
    if (count == OPW_MAX_RANK)
      throw Error(OPW_E_SHAPE, "found more than " + std::to_string(OPW_MAX_RANK) + " axes, expected at most that many");
    sizes[count++] = size;
  }
  size_t size() const noexcept { return count; }
  bool empty() const noexcept { return count == 0; }
  int64_t operator[](size_t axis) const noexcept { return sizes[axis]; }
  int64_t &operator[](size_t axis) noexcept { return sizes[axis]; }
  const int64_t *data() const noexcept { return sizes; }
  const int64_t *begin() const noexcept { return sizes; }
  const int64_t *end() const noexcept { return sizes + count; }
  bool known() const noexcept {
    return std::all_of(begin(), end(), [](int64_t n) { return n >= 0; });
  }
  /// Elements; throws where a size is negative or the product is beyond 2^62.
  uint64_t elements() const {
    uint64_t n = 1;
    for (int64_t s : *this) {
      if (s < 0 || (s > 0 && n > (uint64_t{1} << 62) / static_cast<uint64_t>(s)))
        throw Error(OPW_E_SHAPE,
                    "found the shape " + text() + ", expected sizes of 0 or more and at most 2^62 elements");
      n *= static_cast<uint64_t>(s);
    }
    return n;
  }
  std::string text() const {
    std::string out = "[";
    for (size_t i = 0; i < count; ++i)
      out += (i ? ", " : "") + std::to_string(sizes[i]);
    return out + "]";
  }
  friend bool operator==(const Shape &a, const Shape &b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  friend bool operator!=(const Shape &a, const Shape &b) noexcept { return !(a == b); }

private:
  int64_t sizes[OPW_MAX_RANK]; // the first `count` are there: views are copied often
  size_t count = 0;
};

// ---- views --------------------------------------------------------------------------------------------------------

/// Memory of the caller that an op may read: it must live as long as calls that use the view.
class ConstView {
public:
  ConstView(const void *data, DType type, const Shape &shape) : memory(data), elementType(type), sizes(shape) {}
  /// Strides in elements. Only ops that say so take other than row-major tensors.
  ConstView(const void *data, DType type, const Shape &shape, const Shape &strides)
      : memory(data), elementType(type), sizes(shape), steps(strides), strided(true) {
    if (strides.size() != shape.size())
      throw Error(OPW_E_SHAPE, "found strides " + strides.text() + " for the shape " + shape.text() +
                                   ", expected one for each axis");
  }
  const void *data() const noexcept { return memory; }
  DType dtype() const noexcept { return elementType; }
  const Shape &shape() const noexcept { return sizes; }
  /// As plugin.h has it; points into this view.
  opw_tensor_t tensor() const noexcept {
    const detail::DTypeRow &row = detail::rowOf(elementType);
    return {const_cast<void *>(memory),
            OPW_DEVICE_CPU,
            0,
            static_cast<int32_t>(sizes.size()),
            row.code,
            row.bits,
            1,
            const_cast<int64_t *>(sizes.data()),
            strided ? const_cast<int64_t *>(steps.data()) : nullptr,
            0};
  }

private:
  const void *memory;
  DType elementType;
  Shape sizes, steps;
  bool strided = false;
};

/// Memory of the caller that an op may also write.
class View : public ConstView {
public:
  View(void *data, DType type, const Shape &shape) : ConstView(data, type, shape) {}
  View(void *data, DType type, const Shape &shape, const Shape &strides) : ConstView(data, type, shape, strides) {}
  void *data() const noexcept { return const_cast<void *>(ConstView::data()); }
};

template <class T> using ViewOf = std::conditional_t<std::is_const_v<T>, ConstView, View>;

/// A view of elements at `data`, row-major: `view(pointer, {4, 300})`. Of const elements it is a ConstView.
template <class T> ViewOf<T> view(T *data, const Shape &shape) { return {data, kDTypeOf<T>, shape}; }
template <class T> ViewOf<T> view(T *data, const Shape &shape, const Shape &strides) {
  return {data, kDTypeOf<T>, shape, strides};
}
/// A view of a container whose elements lie side by side (vector, array, span): in one axis, or in a shape that has as
/// many elements. Not of a temporary, nor of vector<bool>, which has no elements.
template <class C, class T = std::remove_pointer_t<decltype(std::declval<C &>().data())>> ViewOf<T> view(C &elements) {
  return view(elements.data(), Shape{static_cast<int64_t>(elements.size())});
}
template <class C, class T = std::remove_pointer_t<decltype(std::declval<C &>().data())>>
ViewOf<T> view(C &elements, const Shape &shape) {
  if (shape.elements() != elements.size())
    throw Error(OPW_E_SHAPE, "found " + std::to_string(elements.size()) + " elements for a view of the shape " +
                                 shape.text() + ", expected " + std::to_string(shape.elements()));
  return view(elements.data(), shape);
}

/// Elements side by side, for loops: std::span is C++20.
template <class T> class Span {
public:
  Span(T *data, size_t size) : first(data), count(size) {}
  T *data() const noexcept { return first; }
  size_t size() const noexcept { return count; }
  T *begin() const noexcept { return first; }
  T *end() const noexcept { return first + count; }
  T &operator[](size_t i) const noexcept { return first[i]; }

private:
  T *first;
  size_t count;
};

// ---- arrays -------------------------------------------------------------------------------------------------------

/// A row-major tensor that owns its memory, aligned to 64 bytes at least. Moves, does not copy.
class Array {
public:
  Array() = default;
  Array(DType type, const Shape &shape, size_t align = 64) : elementType(type), sizes(shape) {
    const size_t bytes = shape.elements() * bytesOf(type);
    const auto boundary = static_cast<std::align_val_t>(std::max<size_t>(align, 64));
    memory = {static_cast<std::byte *>(::operator new(std::max<size_t>(bytes, 1), boundary)), Free{boundary}};
  }
  DType dtype() const noexcept { return elementType; }
  const Shape &shape() const noexcept { return sizes; }
  size_t size() const { return static_cast<size_t>(sizes.elements()); }
  size_t bytes() const { return size() * bytesOf(elementType); }
  void *data() noexcept { return memory.get(); }
  const void *data() const noexcept { return memory.get(); }
  operator View() { return {data(), elementType, sizes}; }
  operator ConstView() const { return {data(), elementType, sizes}; }
  /// The elements; throws where they are of another type.
  template <class T> Span<T> values() { return {static_cast<T *>(checked(kDTypeOf<T>)), size()}; }
  template <class T> Span<const T> values() const { return {static_cast<const T *>(checked(kDTypeOf<T>)), size()}; }
  /// The one element.
  template <class T> T item() const {
    if (size() != 1)
      throw Error(OPW_E_SHAPE, "found the shape " + sizes.text() + ", expected one element");
    return values<T>()[0];
  }
  /// Takes a shape that needs no more memory than the first one.
  void shrink(const Shape &shape) {
    if (shape.elements() > sizes.elements())
      throw Error(OPW_E_SHAPE,
                  "found the shape " + shape.text() + ", expected at most as many elements as " + sizes.text());
    sizes = shape;
  }

private:
  struct Free {
    std::align_val_t boundary;
    void operator()(std::byte *p) const noexcept { ::operator delete(p, boundary); }
  };
  void *checked(DType wanted) const {
    if (elementType != wanted)
      throw Error(OPW_E_DTYPE,
                  std::string("found an array of ") + nameOf(elementType) + ", expected " + nameOf(wanted));
    if (!memory)
      throw Error(OPW_E_ARGUMENT, "found an array that was moved away, expected one with elements");
    return memory.get();
  }
  DType elementType = DType::none;
  Shape sizes;
  std::unique_ptr<std::byte, Free> memory;
};

} // namespace opwright
#endif
