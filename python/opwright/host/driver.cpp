// A host in C++: calls operators of one library through plugin.hpp. Commands on stdin, answers on stdout; programs.py
// has their form.
#include <deque>
#include <iostream>
#include <opwright/plugin.hpp>
#include <sstream>

using namespace opwright;

namespace {

// ---- words of a command, and of an answer

std::string word() {
  std::string w;
  if (!(std::cin >> w))
    std::exit(0); // the other side has gone
  return w;
}

int64_t number() { return std::stoll(word()); }

/// Bytes travel as hexadecimal digits, "." stands for none.
std::string bytes() {
  const std::string digits = word();
  std::string out;
  for (size_t i = 0; digits != "." && i < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

void print(std::ostream &out, const void *memory, size_t count) {
  static const char digits[] = "0123456789abcdef";
  const auto *byte = static_cast<const unsigned char *>(memory);
  for (size_t i = 0; i < count; ++i)
    out << digits[byte[i] / 16] << digits[byte[i] % 16];
  out << (count ? " " : ". ");
}

Shape shape(size_t rank) {
  Shape s;
  for (size_t i = 0; i < rank; ++i)
    s.add(number());
  return s;
}

/// TYPE RANK SIZE... 0|1 [STRIDE...] OFFSET BYTES, in memory that is put into `kept`.
View readTensor(std::deque<Array> &kept) {
  const auto type = static_cast<DType>(number());
  const auto rank = static_cast<size_t>(number());
  const Shape sizes = shape(rank);
  const bool strided = number() != 0;
  const Shape strides = strided ? shape(rank) : Shape();
  const int64_t offset = number();
  const std::string data = bytes();
  Array &memory = kept.emplace_back(DType::u8, Shape{static_cast<int64_t>(data.size())}, 256);
  std::copy(data.begin(), data.end(), static_cast<char *>(memory.data()));
  char *first = static_cast<char *>(memory.data()) + offset;
  return strided ? View(first, type, sizes, strides) : View(first, type, sizes);
}

template <class T, class Read> std::vector<T> list(int64_t count, Read &&read) {
  std::vector<T> all;
  while (count-- > 0)
    all.push_back(read());
  return all;
}

/// letter COUNT VALUE...
Value readAttribute() {
  const char letter = word()[0];
  const int64_t count = number();
  auto real = [] { return std::stod(word()); };
  auto flag = [] { return number() != 0; };
  switch (letter) {
  case 'i':
    return number();
  case 'd':
    return static_cast<DType>(number());
  case 'f':
    return real();
  case 'b':
    return flag();
  case 's':
  case 'y':
    return bytes();
  case 'I':
    return list<int64_t>(count, number);
  case 'F':
    return list<double>(count, real);
  case 'B':
    return list<bool>(count, flag);
  default:
    return list<std::string>(count, bytes);
  }
}

void print(std::ostream &out, const ConstView &view) {
  out << "t " << static_cast<int>(view.dtype()) << " " << view.shape().size() << " ";
  for (int64_t size : view.shape())
    out << size << " ";
  print(out, view.data(), static_cast<size_t>(view.shape().elements()) * bytesOf(view.dtype()));
}

/// NAMESPACE NAME VERSION TACTIC IN_PLACE, inputs, outputs, attributes
std::string answerCall(const Library &library) {
  const std::string ns = word(), name = word();
  const Op op = library.op(ns + "::" + name, static_cast<int32_t>(number()));
  Call call(op);
  call.tactic(static_cast<int32_t>(number()));
  const bool inPlace = number() != 0;
  std::deque<Array> kept;
  std::vector<std::optional<View>> inputs, outputs;
  for (int64_t count = number(); count > 0; --count) {
    inputs.push_back(word() == "-" ? std::nullopt : std::optional(readTensor(kept)));
    call.input(inputs.back() ? Input(*inputs.back()) : Input(nullptr));
  }
  bool makes = true; // compute() makes all outputs, where the call leaves none out
  std::vector<std::string> kinds;
  for (int64_t count = number(); count > 0; --count) {
    kinds.push_back(word());
    outputs.push_back(kinds.back() == "t"   ? std::optional(readTensor(kept))
                      : kinds.back() == "=" ? inputs[static_cast<size_t>(number())]
                                            : std::nullopt);
    makes = makes && kinds.back() == "+";
  }
  std::vector<std::pair<std::string, Value>> attributes;
  for (int64_t count = number(); count > 0; --count) {
    std::string attribute = word();
    attributes.emplace_back(attribute, readAttribute());
  }

  std::ostringstream out;
  for (auto &[attribute, value] : attributes)
    call.attr(attribute, value);
  out << "ok " << outputs.size() << " ";
  if (makes && !inPlace) {
    for (const Array &made : call.compute())
      print(out, made);
    return out.str();
  }
  std::vector<TensorType> types;
  if (std::find(kinds.begin(), kinds.end(), "+") != kinds.end())
    types = call.infer();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const opw_io_t &declared = *op.table()->outputs[std::min<size_t>(i, op.table()->output_count - 1)];
    if (inPlace && declared.alias >= 0)
      outputs[i] = inputs[static_cast<size_t>(declared.alias)];
    else if (kinds[i] == "+")
      outputs[i] = kept.emplace_back(types[i].dtype, types[i].shape, declared.align);
    call.output(outputs[i] ? Output(*outputs[i]) : Output(nullptr));
  }
  call.run();
  for (const auto &output : outputs)
    output ? print(out, *output) : void(out << "- ");
  return out.str();
}

} // namespace

int main(int argc, char **argv) {
  try {
    const Library library(argc == 2 ? argv[1] : "usage: driver LIBRARY");
    for (;;) {
      word(); // "call"
      try {
        std::cout << answerCall(library) << std::endl;
      } catch (const Error &e) {
        std::ostringstream out;
        out << "refused " << e.status() << " ";
        print(out, e.what(), std::string(e.what()).size());
        std::cout << out.str() << std::endl;
      }
    }
  } catch (const Error &e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
