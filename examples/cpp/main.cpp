// Loads a plugin that has sample::add(x, y, alpha = 1) -> x + alpha * y, and calls it through opwright/plugin.hpp.
// Usage: call_plugin LIBRARY [unsealed]     the second for a library made by hand, as that of examples/c
#include <iostream>
#include <opwright/plugin.hpp>
#include <vector>

using opwright::view;

int main(int argc, char **argv) {
  try {
    const char *path = argc > 1 ? argv[1] : "./libadd.so";
    opwright::Library library = argc > 2 ? opwright::Library(path, opwright::unsealed) : opwright::Library(path);
    for (const opwright::Op &op : library.ops())
      std::cout << op.name() << ": " << op.doc() << "\n";
    opwright::Op add = library.op("sample::add");

    // In one line: the op says what the output is, the array owns it.
    std::vector<float> x(12), y(12, 2.0f);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(i);
    opwright::Array sum = add({view(x, {3, 4}), view(y, {3, 4})}, {{"alpha", 0.5}});
    std::cout << "shape " << sum.shape().text() << ", last " << sum.values<float>()[11] << "\n";

    // Into memory of one's own, again and again: a call that runs once more allocates nothing.
    std::vector<float> total(12), next(12);
    opwright::Call call(add);
    for (int i = 0; i < 3; ++i) {
      call.inputs({view(total), view(x)}).outputs({view(next)}).run();
      total.swap(next);
    }
    std::cout << "three times " << total[11] << "\n";

    // A refusal says what was found and what was expected; nothing has run.
    try {
      std::vector<double> wide(12);
      add({view(x), view(wide)});
    } catch (const opwright::Error &e) {
      std::cout << "status " << e.status() << ": " << e.what() << "\n";
    }
  } catch (const opwright::Error &e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}
