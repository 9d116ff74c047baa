// Runs the attention plugin from C++: what main.c does, through plugin.hpp.
//
//   main_cpp LIB.so BATCH HEADS SEQUENCE SCALE REPEATS q.bin k.bin v.bin out.bin lse.bin
#include <chrono>
#include <fstream>
#include <iostream>
#include <opwright/plugin.hpp>

namespace {

using opwright::Array;
using opwright::DType;
using opwright::Shape;

Array readFile(const char *path, DType type, const Shape &shape) {
  Array array(type, shape);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(static_cast<char *>(array.data()), static_cast<std::streamsize>(array.bytes())))
    throw std::runtime_error(std::string(path) + " cannot be read, or is too short");
  return array;
}

void writeFile(const char *path, const Array &array) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char *>(array.data()), static_cast<std::streamsize>(array.bytes()));
  if (!file.flush())
    throw std::runtime_error(std::string(path) + " cannot be written");
}

void run(char **argv) {
  const opwright::Library library(argv[1]);
  opwright::Call call(library.op("triton::fused_attention_kernel"));
  const Shape shape{std::stoll(argv[2]), std::stoll(argv[3]), std::stoll(argv[4]), 64};
  const Array q = readFile(argv[7], DType::f16, shape);
  const Array k = readFile(argv[8], DType::f16, shape);
  const Array v = readFile(argv[9], DType::f16, shape);
  call.inputs({q, k, v}).attr("sm_scale", std::stod(argv[5]));

  // the plugin says what it returns; the caller allocates
  const auto types = call.infer();
  Array out(types[0].dtype, types[0].shape), lse(types[1].dtype, types[1].shape);
  call.outputs({out, lse});

  using Milliseconds = std::chrono::duration<double, std::milli>;
  Milliseconds best = Milliseconds::max();
  for (int i = 0; i < std::stoi(argv[6]); ++i) {
    const auto start = std::chrono::steady_clock::now();
    call.run();
    best = std::min(best, Milliseconds(std::chrono::steady_clock::now() - start));
  }
  writeFile(argv[10], out);
  writeFile(argv[11], lse);
  std::cout << best.count() << "\n";
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 12) {
    std::cerr << "usage: main_cpp LIB.so BATCH HEADS SEQUENCE SCALE REPEATS q.bin k.bin v.bin out.bin lse.bin\n";
    return 1;
  }
  try {
    run(argv);
  } catch (const std::exception &e) { // an opwright::Error is one
    std::cerr << "main_cpp: " << e.what() << "\n";
    return 1;
  }
}
