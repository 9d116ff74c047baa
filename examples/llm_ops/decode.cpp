// A decoder of one layer that writes tokens, in C++: the library's operators, and memory. No Python, no compiler.
//
//   decode LIB.so STEPS
//
// Each step gives every sequence its next token. The weights are random numbers: it is the way through the operators
// that is shown, among them two that work in place, one whose outputs have a size that depends on the data, and a cache
// that grows.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <opwright/plugin.hpp>
#include <stdexcept>
#include <string>
#include <vector>

using opwright::view;

static constexpr int64_t kSequences = 2, kWidth = 256, kHeads = 4, kKeyHeads = 2, kHead = 64, kVocabulary = 500;
static constexpr int64_t kBlock = 16, kMostBlocks = 8, kGroup = 64; // tokens of a cache block; inputs with a scale

/// Numbers from 0 to 1, the same ones in every run.
static float uniform() {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(state >> 8) * 0x1p-24f;
}

static std::vector<float> uniforms(size_t count, float low, float high) {
  std::vector<float> numbers(count);
  for (float &x : numbers)
    x = low + (high - low) * uniform();
  return numbers;
}

/// x times a matrix of 4-bit weights. The tensors stay where they are, so a call is put together once: it looks at
/// these vectors and at x, which must outlive it.
struct Product {
  Product(const opwright::Library &library, std::vector<float> &x, int64_t inner, int64_t columns)
      : weight(static_cast<size_t>(columns * inner / 2)), y(static_cast<size_t>(kSequences * columns)),
        call(library.op("llm::w4a16_matmul")) {
    for (uint8_t &pair : weight)
      pair = static_cast<uint8_t>(uniform() * 256);
    scales = uniforms(static_cast<size_t>(inner / kGroup * columns), 0.005f, 0.015f);
    call.inputs(
        {view(x, {kSequences, inner}), view(weight, {columns, inner / 2}), view(scales, {inner / kGroup, columns})});
    call.outputs({view(y, {kSequences, columns})});
  }
  std::vector<uint8_t> weight;
  std::vector<float> scales, y;
  opwright::Call call;
};

/// residual += x; normed = its RMS norm.
static opwright::Call norm(const opwright::Library &library, std::vector<float> &x, std::vector<float> &residual,
                           std::vector<float> &weight, std::vector<float> &normed) {
  const opwright::Shape shape{kSequences, kWidth};
  opwright::Call call(library.op("llm::add_rms_norm"));
  call.inputs({view(x, shape), view(residual, shape), view(weight)})
      .outputs({view(normed, shape), view(residual, shape)});
  return call;
}

static void decode(const opwright::Library &library, int steps) {
  std::vector<float> embedding = uniforms(kVocabulary * kWidth, -1, 1), weight(kWidth, 1.0f);
  std::vector<float> x(kSequences * kWidth), residual(x), normed(x), none(x), attended(x);
  Product queries(library, normed, kWidth, kHeads * kHead), keys(library, normed, kWidth, kKeyHeads * kHead),
      values(library, normed, kWidth, kKeyHeads * kHead), mixed(library, attended, kHeads * kHead, kWidth),
      logits(library, normed, kWidth, kVocabulary);
  opwright::Call before = norm(library, none, residual, weight, normed),
                 after = norm(library, mixed.y, residual, weight, normed);

  std::vector<float> angles(kBlock * kMostBlocks * kHead); // a row for each position: cosines, then sines
  for (int64_t i = 0; i < kBlock * kMostBlocks * kHead / 2; ++i) {
    const int64_t position = i / (kHead / 2), pair = i % (kHead / 2);
    const double angle = double(position) * std::pow(10000.0, -2.0 * double(pair) / kHead);
    angles[size_t(position * kHead + pair)] = static_cast<float>(std::cos(angle));
    angles[size_t(position * kHead + kHead / 2 + pair)] = static_cast<float>(std::sin(angle));
  }
  std::vector<int64_t> positions(kSequences);
  const opwright::View q = view(queries.y, {kSequences, kHeads, kHead}),
                       k = view(keys.y, {kSequences, kKeyHeads, kHead});
  opwright::Call rotate(library.op("llm::rotary_embedding"));
  rotate.inputs({q, k, view(positions), view(angles, {kBlock * kMostBlocks, kHead})}).outputs({q, k});

  const opwright::Shape cacheShape{kSequences * kMostBlocks, kKeyHeads, kBlock, kHead};
  std::vector<float> keyCache(cacheShape.elements()), valueCache(cacheShape.elements());
  std::vector<int32_t> table(kSequences * kMostBlocks), lengths(kSequences), tokens(kSequences);
  std::iota(table.begin(), table.end(), 0);
  std::iota(tokens.begin(), tokens.end(), 1);
  opwright::Call attend(library.op("llm::paged_attention"));
  attend.inputs({q, view(keyCache, cacheShape), view(valueCache, cacheShape), view(table, {kSequences, kMostBlocks}),
                 view(lengths)});
  attend.outputs({view(attended, {kSequences, kHeads, kHead})});

  std::vector<float> drawn(kSequences);
  opwright::Call sample(library.op("llm::top_k_sampling"));
  sample.inputs({view(logits.y, {kSequences, kVocabulary}), view(drawn)}).attr("k", 20).attr("min_p", 0.125);

  for (int step = 0; step < steps; ++step) {
    for (int64_t s = 0; s < kSequences; ++s)
      std::copy_n(&embedding[size_t(tokens[s] * kWidth)], kWidth, &residual[size_t(s * kWidth)]);
    before.run();
    for (Product *product : {&queries, &keys, &values})
      product->call.run();
    std::fill(positions.begin(), positions.end(), step);
    rotate.run();
    for (int64_t s = 0; s < kSequences; ++s)
      for (int64_t h = 0; h < kKeyHeads; ++h) {
        const int64_t block = table[s * kMostBlocks + step / kBlock];
        const int64_t to = ((block * kKeyHeads + h) * kBlock + step % kBlock) * kHead,
                      from = (s * kKeyHeads + h) * kHead;
        std::copy_n(&keys.y[size_t(from)], kHead, &keyCache[size_t(to)]);
        std::copy_n(&values.y[size_t(from)], kHead, &valueCache[size_t(to)]);
      }
    std::fill(lengths.begin(), lengths.end(), step + 1);
    attend.run();
    mixed.call.run();
    after.run();
    logits.call.run();
    for (float &number : drawn)
      number = uniform();
    opwright::Results found = sample.compute(); // as many candidates as there are
    std::copy_n(found["token"].values<int32_t>().data(), kSequences, tokens.begin());
    std::cout << "step " << step << ":";
    for (int32_t token : tokens)
      std::cout << " " << token;
    std::cout << " of " << found["total"].item<int64_t>() << " candidates\n";
  }
}

int main(int argc, char **argv) {
  try {
    const int steps = argc == 3 ? std::atoi(argv[2]) : 0;
    if (steps < 1 || steps > kBlock * kMostBlocks)
      throw std::invalid_argument("expected: decode LIB.so STEPS, with 1 to " + std::to_string(kBlock * kMostBlocks) +
                                  " steps");
    decode(opwright::Library(argv[1]), steps);
  } catch (const std::exception &e) {
    std::cerr << "decode: " << e.what() << "\n";
    return 1;
  }
}
