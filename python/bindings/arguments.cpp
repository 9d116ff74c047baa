#include "arguments.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <limits>
#include <utility>

namespace opw::python {
namespace {

/// An owned reference.
class Ref {
public:
  explicit Ref(PyObject *object) : object(object) {}
  Ref(const Ref &) = delete;
  Ref &operator=(const Ref &) = delete;
  ~Ref() { Py_XDECREF(object); }
  PyObject *get() const { return object; }
  explicit operator bool() const { return object != nullptr; }

private:
  PyObject *object;
};

PyObject *interned(const char *text) { return PyUnicode_InternFromString(text); }

/// Attribute names, made once: a launch must not build strings.
struct Names {
  PyObject *dataPtr = interned("data_ptr");
  PyObject *numel = interned("numel");
  PyObject *isCpu = interned("is_cpu");
  PyObject *device = interned("device");
  PyObject *base = interned("base");
  PyObject *shape = interned("shape");
  PyObject *strides = interned("strides");
  PyObject *padding = interned("padding");
};
const Names &names() {
  static const Names table;
  return table;
}

bool refuse(PyObject *error, const Param &param, const std::string &kernel, const char *format, ...) {
  va_list list;
  va_start(list, format);
  Ref what(PyUnicode_FromFormatV(format, list));
  va_end(list);
  if (what)
    PyErr_Format(error, "argument '%s' of kernel '%s': %U", param.name.c_str(), kernel.c_str(), what.get());
  return false;
}

/// The attribute, or null without an error when there is none.
PyObject *optionalAttribute(PyObject *object, PyObject *name) {
  PyObject *value = PyObject_GetAttr(object, name);
  if (!value && PyErr_ExceptionMatches(PyExc_AttributeError))
    PyErr_Clear();
  return value;
}

/// Whether the memory of a tensor is the CPU's. Torch tensors and our view answer `is_cpu`; others have `device` or
/// nothing.
bool checkDevice(const Param &param, const std::string &kernel, PyObject *value) {
  Ref isCpu(optionalAttribute(value, names().isCpu));
  if (isCpu.get() == Py_True)
    return true;
  if (!isCpu && PyErr_Occurred())
    return false;
  Ref device(optionalAttribute(value, names().device));
  if (!device)
    return !PyErr_Occurred();
  Ref text(PyObject_Str(device.get()));
  const char *place = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  if (!place)
    return false;
  if (!isCpu && std::string_view(place).starts_with("cpu"))
    return true;
  return refuse(
      PyExc_ValueError, param, kernel,
      "found a tensor on device '%s', expected CPU memory: the active Triton driver is Opwright's for the CPU; "
      "copy the tensor with .cpu(), or choose another driver with TRITON_DEFAULT_BACKEND",
      place);
}

bool readAddress(const Param &param, const std::string &kernel, PyObject *integer, uint64_t &out) {
  out = PyLong_AsUnsignedLongLong(integer);
  if (out != std::numeric_limits<uint64_t>::max() || !PyErr_Occurred())
    return true;
  PyErr_Clear();
  return refuse(PyExc_ValueError, param, kernel, "found the address %S, expected 0 to 2^64 - 1", integer);
}

/// A tensor at address 0 has no elements, or no memory, as a fake one has.
bool checkEmpty(const Param &param, const std::string &kernel, PyObject *value) {
  PyObject *const receiver[] = {value};
  Ref count(PyObject_VectorcallMethod(names().numel, receiver, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
  if (!count) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError))
      return false;
    PyErr_Clear(); // it does not say
    return true;
  }
  if (PyLong_Check(count.get()) && PyObject_IsTrue(count.get()))
    return refuse(PyExc_ValueError, param, kernel,
                  "found a tensor of %S elements without memory (%s), expected one with", count.get(),
                  Py_TYPE(value)->tp_name);
  return true;
}

bool readPointer(const Param &param, const std::string &kernel, PyObject *value, uint64_t &out) {
  if (PyLong_CheckExact(value))
    return readAddress(param, kernel, value, out);
  if (value == Py_None)
    return refuse(PyExc_TypeError, param, kernel,
                  "found None, expected a tensor (%s): the kernel was compiled for a pointer here", param.type.c_str());
  PyObject *const receiver[] = {value};
  Ref address(PyObject_VectorcallMethod(names().dataPtr, receiver, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
  if (!address) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError) || PyObject_HasAttr(value, names().dataPtr))
      return false;
    PyErr_Clear();
    return refuse(PyExc_TypeError, param, kernel,
                  "found %s, expected a CPU tensor (%s); wrap arrays without a copy: opwright.tensor(x)",
                  Py_TYPE(value)->tp_name, param.type.c_str());
  }
  if (!PyLong_Check(address.get()))
    return refuse(PyExc_TypeError, param, kernel, "data_ptr() of %s gave %s, expected int", Py_TYPE(value)->tp_name,
                  Py_TYPE(address.get())->tp_name);
  return checkDevice(param, kernel, value) && readAddress(param, kernel, address.get(), out) &&
         (out != 0 || checkEmpty(param, kernel, value));
}

bool outOfRange(const Param &param, const std::string &kernel, PyObject *value) {
  unsigned top = param.bits - (param.isSigned ? 1u : 0u);
  std::string low = param.isSigned ? "-2^" + std::to_string(top) : "0";
  return refuse(PyExc_OverflowError, param, kernel, "found %S, expected a value of type %s: %s to 2^%u - 1", value,
                param.type.c_str(), low.c_str(), top);
}

bool readInteger(const Param &param, const std::string &kernel, PyObject *value, uint64_t &out) {
  Ref index(PyLong_Check(value) ? Py_NewRef(value) : PyNumber_Index(value));
  if (!index) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
      return false;
    PyErr_Clear();
    return refuse(PyExc_TypeError, param, kernel, "found %s, expected an integer (%s)", Py_TYPE(value)->tp_name,
                  param.type.c_str());
  }
  int overflow = 0;
  int64_t number = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
  if (overflow == 0 && param.bits == 64 && (param.isSigned || number >= 0)) {
    out = static_cast<uint64_t>(number);
    return true;
  }
  if (overflow > 0 && param.bits == 64 && !param.isSigned) {
    out = PyLong_AsUnsignedLongLong(index.get());
    if (!PyErr_Occurred())
      return true;
    PyErr_Clear();
  }
  if (overflow != 0 || param.bits == 64)
    return outOfRange(param, kernel, index.get());
  int64_t low = param.isSigned ? -(int64_t{1} << (param.bits - 1)) : 0;
  int64_t high = low + (int64_t{1} << param.bits) - 1;
  if (number < low || number > high)
    return outOfRange(param, kernel, index.get());
  // A slot is the sign extension of the bits, also of an unsigned value; i1 keeps 0 and 1.
  unsigned unused = 64u - param.bits;
  out = param.bits == 1
            ? static_cast<uint64_t>(number)
            : static_cast<uint64_t>(static_cast<int64_t>(static_cast<uint64_t>(number) << unused) >> unused);
  return true;
}

bool readFloat(const Param &param, const std::string &kernel, PyObject *value, uint64_t &out) {
  double number = PyFloat_CheckExact(value) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value);
  if (number == -1.0 && PyErr_Occurred()) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
      return false;
    PyErr_Clear();
    return refuse(PyExc_TypeError, param, kernel, "found %s, expected a number (%s)", Py_TYPE(value)->tp_name,
                  param.type.c_str());
  }
  if (param.bits == 64)
    out = std::bit_cast<uint64_t>(number);
  else if (param.bits == 32)
    out = std::bit_cast<uint32_t>(static_cast<float>(number));
  else
    out = param.brain ? roundToFormat(number, 8, 7) : roundToFormat(number, 5, 10);
  return true;
}

/// A sequence attribute of `count` integers.
bool readIntegers(const Param &param, const std::string &kernel, PyObject *value, PyObject *name, unsigned count,
                  uint64_t *&out) {
  Ref attribute(PyObject_GetAttr(value, name));
  Ref sequence(attribute ? PySequence_Fast(attribute.get(), "expected a sequence") : nullptr);
  if (!sequence)
    return false;
  if (PySequence_Fast_GET_SIZE(sequence.get()) != static_cast<Py_ssize_t>(count))
    return refuse(PyExc_ValueError, param, kernel, "the descriptor's %U has %zd entries, expected %u", name,
                  PySequence_Fast_GET_SIZE(sequence.get()), count);
  Param entry;
  entry.kind = ParamKind::Integer;
  entry.bits = 64;
  entry.isSigned = true;
  entry.name = param.name;
  entry.type = "i64";
  for (unsigned i = 0; i < count; ++i)
    if (!readInteger(entry, kernel, PySequence_Fast_GET_ITEM(sequence.get(), i), *out++))
      return false;
  return true;
}

bool readDescriptor(const Param &param, const std::string &kernel, PyObject *value, uint64_t *&out) {
  Ref base(optionalAttribute(value, names().base));
  if (!base) {
    if (PyErr_Occurred())
      return false;
    return refuse(PyExc_TypeError, param, kernel, "found %s, expected a TensorDescriptor", Py_TYPE(value)->tp_name);
  }
  Ref padding(optionalAttribute(value, names().padding));
  if (!padding && PyErr_Occurred())
    return false;
  bool isText = padding && PyUnicode_Check(padding.get());
  bool nan = isText && PyUnicode_CompareWithASCIIString(padding.get(), "nan") == 0;
  if (isText && !nan && PyUnicode_CompareWithASCIIString(padding.get(), "zero") != 0)
    return refuse(PyExc_ValueError, param, kernel, "found a descriptor with padding %R, expected 'zero' or 'nan'",
                  padding.get());
  if (!readPointer(param, kernel, base.get(), *out++) ||
      !readIntegers(param, kernel, value, names().shape, param.rank, out) ||
      !readIntegers(param, kernel, value, names().strides, param.rank, out))
    return false;
  *out++ = nan;
  return true;
}

bool readTuple(const Param &param, const std::string &kernel, PyObject *value, uint64_t *&out) {
  Ref sequence(PySequence_Fast(value, ""));
  if (!sequence) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
      return false;
    PyErr_Clear();
    return refuse(PyExc_TypeError, param, kernel, "found %s, expected a tuple", Py_TYPE(value)->tp_name);
  }
  if (PySequence_Fast_GET_SIZE(sequence.get()) != static_cast<Py_ssize_t>(param.members.size()))
    return refuse(PyExc_ValueError, param, kernel,
                  "found a tuple of %zd, expected %zu: the kernel was compiled for that",
                  PySequence_Fast_GET_SIZE(sequence.get()), param.members.size());
  for (size_t i = 0; i < param.members.size(); ++i)
    if (!readArgument(param.members[i], kernel, PySequence_Fast_GET_ITEM(sequence.get(), static_cast<Py_ssize_t>(i)),
                      out))
      return false;
  return true;
}

struct ScalarType {
  std::string_view name;
  ParamKind kind;
  uint8_t bits;
  bool isSigned, brain;
};
/// Triton's names, and MLIR's where a kernel comes from a .ttir file.
constexpr ScalarType kScalars[] = {
    {"i1", ParamKind::Integer, 1, false, false},  {"u1", ParamKind::Integer, 1, false, false},
    {"i8", ParamKind::Integer, 8, true, false},   {"u8", ParamKind::Integer, 8, false, false},
    {"i16", ParamKind::Integer, 16, true, false}, {"u16", ParamKind::Integer, 16, false, false},
    {"i32", ParamKind::Integer, 32, true, false}, {"u32", ParamKind::Integer, 32, false, false},
    {"i64", ParamKind::Integer, 64, true, false}, {"u64", ParamKind::Integer, 64, false, false},
    {"fp16", ParamKind::Float, 16, true, false},  {"f16", ParamKind::Float, 16, true, false},
    {"bf16", ParamKind::Float, 16, true, true},   {"fp32", ParamKind::Float, 32, true, false},
    {"f32", ParamKind::Float, 32, true, false},   {"fp64", ParamKind::Float, 64, true, false},
    {"f64", ParamKind::Float, 64, true, false},
};

/// Rank of "tensordesc<fp16[16, 64],input_rank=3>": of the tensor behind it, by default that of the block.
unsigned descriptorRank(std::string_view type) {
  constexpr std::string_view key = "input_rank=";
  unsigned rank = 0;
  if (size_t at = type.find(key); at != type.npos) {
    std::from_chars(type.data() + at + key.size(), type.data() + type.size(), rank);
    return rank;
  }
  size_t open = type.find('['), close = type.find(']');
  if (open == type.npos || close == type.npos || close < open)
    return 0;
  for (char c : type.substr(open, close - open))
    rank += c == ',';
  return rank + 1;
}

bool parseScalar(std::string_view type, Param &param) {
  for (const ScalarType &scalar : kScalars)
    if (scalar.name == type) {
      param.kind = scalar.kind;
      param.bits = scalar.bits;
      param.isSigned = scalar.isSigned;
      param.brain = scalar.brain;
      return true;
    }
  PyErr_Format(PyExc_TypeError,
               "parameter '%s' has type '%s': expected a pointer, an integer, fp16, bf16, fp32, fp64 or a "
               "tensor descriptor; load other types through a pointer",
               param.name.c_str(), param.type.c_str());
  return false;
}

} // namespace

unsigned Param::slots() const {
  if (kind == ParamKind::Constant)
    return 0;
  if (kind == ParamKind::Descriptor)
    return 2 + 2 * rank; // base, sizes, strides, and whether NaN is read outside
  if (kind != ParamKind::Tuple)
    return 1;
  unsigned sum = 0;
  for (const Param &member : members)
    sum += member.slots();
  return sum;
}

bool parseParam(PyObject *type, std::string name, Param &param) {
  param.name = std::move(name);
  if (PyTuple_Check(type)) {
    param.kind = ParamKind::Tuple;
    param.type = "tuple";
    param.members.resize(static_cast<size_t>(PyTuple_GET_SIZE(type)));
    for (size_t i = 0; i < param.members.size(); ++i)
      if (!parseParam(PyTuple_GET_ITEM(type, static_cast<Py_ssize_t>(i)), param.name + "[" + std::to_string(i) + "]",
                      param.members[i]))
        return false;
    return true;
  }
  Py_ssize_t size = 0;
  const char *text = PyUnicode_Check(type) ? PyUnicode_AsUTF8AndSize(type, &size) : nullptr;
  if (!text) {
    if (!PyErr_Occurred())
      PyErr_Format(PyExc_TypeError, "the type of parameter '%s' is %R, expected str or tuple", param.name.c_str(),
                   type);
    return false;
  }
  param.type.assign(text, static_cast<size_t>(size));
  if (param.type == "constexpr")
    param.kind = ParamKind::Constant;
  else if (param.type.starts_with("*") || param.type.starts_with("!tt.ptr<"))
    param.kind = ParamKind::Pointer;
  else if (param.type.starts_with("tensordesc<")) {
    param.kind = ParamKind::Descriptor;
    param.rank = descriptorRank(param.type);
  } else
    return parseScalar(param.type, param);
  return true;
}

bool readArgument(const Param &param, const std::string &kernel, PyObject *value, uint64_t *&out) {
  switch (param.kind) {
  case ParamKind::Constant:
    return true;
  case ParamKind::Pointer:
    return readPointer(param, kernel, value, *out++);
  case ParamKind::Integer:
    return readInteger(param, kernel, value, *out++);
  case ParamKind::Float:
    return readFloat(param, kernel, value, *out++);
  case ParamKind::Tuple:
    return readTuple(param, kernel, value, out);
  case ParamKind::Descriptor:
    return readDescriptor(param, kernel, value, out);
  }
  return false;
}

uint64_t roundToFormat(double value, int exponentBits, int mantissaBits) {
  uint64_t sign = std::signbit(value) ? uint64_t{1} << (exponentBits + mantissaBits) : 0;
  uint64_t infinity = ((uint64_t{1} << exponentBits) - 1) << mantissaBits;
  if (std::isnan(value))
    return sign | infinity | uint64_t{1} << (mantissaBits - 1);
  if (std::isinf(value))
    return sign | infinity;
  if (value == 0)
    return sign;
  int smallest = 2 - (1 << (exponentBits - 1)); // exponent of the smallest normal number
  int exponent = 0;
  std::frexp(std::fabs(value), &exponent);
  int normal = exponent - 1 > smallest ? exponent - 1 : smallest;
  // `count` units in the last place: exact to scale, then rounded by the mode in force, to nearest even.
  auto count = static_cast<uint64_t>(std::nearbyint(std::ldexp(std::fabs(value), mantissaBits - normal)));
  // Numbers of the format are numbered from 0 upwards, so a carry out of the mantissa needs no care.
  uint64_t code = (static_cast<uint64_t>(normal - smallest) << mantissaBits) + count;
  return sign | (code < infinity ? code : infinity);
}

} // namespace opw::python
