// The program of main.c in C++: the same command line, the same output.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <opwright/plugin.hpp>
#include <sstream>

/// "1,2,3" as numbers.
static std::vector<int64_t> numbersOf(const std::string &text) {
  std::vector<int64_t> numbers;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');)
    numbers.push_back(std::stoll(word));
  return numbers;
}

static void write(const opwright::Array &array, std::string_view name, const std::string &path) {
  std::ofstream(path, std::ios::binary).write(static_cast<const char *>(array.data()), std::streamsize(array.bytes()));
  std::cout << name << ":";
  for (int64_t size : array.shape())
    std::cout << " " << size;
  std::cout << "\n";
}

int main(int argc, char **argv) {
  try {
    if (argc < 6)
      throw std::invalid_argument("usage: main LIB.so ns::op 10,3,32,32 x.bin OUT [NAME=VALUE ...]");
    opwright::Library library(argv[1]);
    opwright::Op op = library.op(argv[2]);

    const std::vector<int64_t> sizes = numbersOf(argv[3]);
    opwright::Array x(opwright::DType::f32, opwright::Shape(sizes.begin(), sizes.end()));
    std::ifstream file(argv[4], std::ios::binary);
    if (!file.read(static_cast<char *>(x.data()), std::streamsize(x.bytes())))
      throw std::invalid_argument(std::string(argv[4]) + " cannot be read, or is too short");

    opwright::Call call(op);
    call.input(x);
    for (int a = 6; a < argc; ++a) {
      const std::string word = argv[a], name = word.substr(0, word.find('='));
      const std::vector<int64_t> numbers = numbersOf(word.substr(std::min(name.size() + 1, word.size())));
      if (numbers.empty())
        throw std::invalid_argument(word + ", expected NAME=VALUE");
      bool isList = false;
      for (const opwright::AttrInfo &attribute : op.attributes())
        isList = isList || (attribute.name == name && attribute.kind == OPW_ATTR_INTS);
      call.attr(name, isList ? opwright::Value(numbers) : opwright::Value(numbers[0]));
    }

    const std::vector<opwright::TensorInfo> outputs = op.outputs();
    if (outputs[0].flags & OPW_IO_INPLACE) {
      call.output(x).run(); // into the input's memory
      write(x, outputs[0].name, std::string(argv[5]) + ".0");
      return 0;
    }
    opwright::Results results = call.compute(); // counts first, where sizes depend on the data
    for (size_t i = 0; i < results.size(); ++i)
      write(results[i], outputs[i].name, argv[5] + ("." + std::to_string(i)));
  } catch (const std::exception &e) {
    std::cerr << "main: " << e.what() << "\n";
    return 1;
  }
}
