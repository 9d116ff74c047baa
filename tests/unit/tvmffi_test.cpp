// Arguments of TVM-FFI as a host may send them, also hosts that send nonsense: an answer or an exception's name, and no
// byte outside of what was given. Sanitizers see this test; the rest of the face is held by
// tests/python/test_tvmffi.py.
#include "adapters/tvmffi/arguments.h"

#include <array>
#include <cstring>
#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace opw::tvmffi {
namespace {

/// An op (a, b?, rest...; one attribute of each kind) -> (out, more...).
struct Op {
  std::deque<opw_io_t> ios;
  std::deque<opw_attr_t> attributes;
  std::vector<const opw_io_t *> inputs, outputs;
  std::vector<const opw_attr_t *> attrs;
  const char *choices[2] = {"near", "far"};
  opw_op_t op{};

  Op() {
    inputs = {io("a"), io("b", OPW_IO_OPTIONAL), io("rest", OPW_IO_VARIADIC)};
    outputs = {io("out"), io("more", OPW_IO_VARIADIC)};
    for (uint32_t kind = OPW_ATTR_INT; kind <= OPW_ATTR_DTYPE; ++kind) {
      opw_attr_t &attr = attributes.emplace_back();
      attr.struct_size = sizeof attr;
      attr.kind = kind;
      attr.name = "attr";
      attr.choices = choices;
      attr.choice_count = 2;
      attrs.push_back(&attr);
    }
    op.struct_size = sizeof op;
    op.ns = "t";
    op.name = "op";
    op.inputs = inputs.data();
    op.outputs = outputs.data();
    op.attrs = attrs.data();
    op.input_count = static_cast<uint32_t>(inputs.size());
    op.output_count = static_cast<uint32_t>(outputs.size());
    op.attr_count = static_cast<uint32_t>(attrs.size());
  }
  const opw_io_t *io(const char *name, uint32_t flags = 0) {
    opw_io_t &t = ios.emplace_back();
    t.struct_size = sizeof t;
    t.name = name;
    t.flags = flags;
    return &t;
  }
};

/// Values on the heap, each in a block of exactly its size.
class Values {
public:
  Any of(int32_t type) {
    Any a{};
    a.type = type;
    return a;
  }
  Any integer(int64_t value, int32_t type = kInt) {
    Any a = of(type);
    a.integer = value;
    return a;
  }
  Any number(double value) {
    Any a = of(kFloat);
    a.number = value;
    return a;
  }
  Any small(const std::string &text, int32_t type = kSmallStr) {
    Any a = of(type);
    a.length = static_cast<uint32_t>(text.size());
    memcpy(a.inside, text.data(), text.size());
    return a;
  }
  Any text(const std::string &value, int32_t type = kStr) {
    char *bytes = keep(value.size() + 1);
    memcpy(bytes, value.c_str(), value.size() + 1);
    if (type == kRawStr) {
      Any a = of(type);
      a.text = bytes;
      return a;
    }
    return cell(type, ByteArray{bytes, value.size()});
  }
  Any list(const std::vector<Any> &elements, int32_t type = kArray) {
    char *data = keep(elements.size() * sizeof(Any));
    if (!elements.empty())
      memcpy(data, elements.data(), elements.size() * sizeof(Any));
    return cell(type, SequenceCell{reinterpret_cast<const Any *>(data), static_cast<int64_t>(elements.size())});
  }
  Any shape(const std::vector<int64_t> &sizes) {
    char *data = keep(sizes.size() * 8);
    if (!sizes.empty())
      memcpy(data, sizes.data(), sizes.size() * 8);
    return cell(kShape, ShapeCell{reinterpret_cast<const int64_t *>(data), sizes.size()});
  }
  Any tensor(int32_t type = kTensor) {
    opw_tensor_t view{};
    view.device_type = OPW_DEVICE_CPU;
    return cell(type, view);
  }

private:
  std::vector<std::unique_ptr<char[]>> blocks;

  char *keep(size_t bytes) { return blocks.emplace_back(std::make_unique<char[]>(bytes)).get(); }

  /// An object with a cell behind its head; what is no object is the cell alone.
  template <typename Cell> Any cell(int32_t type, const Cell &content) {
    size_t head = type >= kObject ? sizeof(Object) : 0;
    char *memory = keep(head + sizeof content);
    memcpy(memory + head, &content, sizeof content);
    Any a = of(type);
    a.pointer = memory;
    return a;
  }
};

struct Bound : Op {
  Values values;
  Arguments arguments;
  std::array<char, 1024> text{};
  std::string kind;

  /// Good arguments, in the order of the op.
  std::vector<Any> good() {
    Any t = values.tensor(), raw = values.tensor(kDLTensorPtr), i = values.integer(7);
    return {t,
            values.of(kNone),
            values.list({t, raw}),
            i,
            values.number(0.5),
            values.integer(1, kBool),
            values.small("short"),
            values.text("bytes that are long", kBytes),
            values.list({i, i}),
            values.list({i, values.number(2.5)}),
            values.list({values.integer(0, kBool), values.integer(1, kBool)}),
            values.list({values.small("s"), values.text("a longer one"), values.text("raw", kRawStr)}, kList),
            raw,
            values.small("far"),
            values.small("bf16"),
            t,
            values.list({})};
  }

  bool bind(const std::vector<Any> &args) {
    opw_error_t error{sizeof error, OPW_OK, text.data(), text.size()};
    arguments.inputCount = arguments.outputCount = arguments.wordCount = 0;
    std::vector<Any> exact = args; // its end is where the sanitizer looks
    exact.shrink_to_fit();
    const char *found = bindArguments(&op, exact.data(), static_cast<int32_t>(exact.size()), arguments, &error);
    kind = found ? found : "";
    return !found;
  }
};

TEST(TvmFfi, EveryKindOfArgument) {
  Bound b;
  std::vector<Any> args = b.good();
  ASSERT_TRUE(b.bind(args)) << b.text.data();
  const opw_attr_value_t *v = b.arguments.attrs;
  EXPECT_EQ(b.arguments.inputCount, 4u);
  EXPECT_EQ(b.arguments.outputCount, 1u);
  EXPECT_EQ(b.arguments.inputs[0], reinterpret_cast<const opw_tensor_t *>(args[0].object + 1));
  EXPECT_EQ(b.arguments.inputs[1], nullptr);
  EXPECT_EQ(b.arguments.inputs[3], args[12].pointer);
  EXPECT_EQ(v[0].u.i, 7);
  EXPECT_EQ(v[1].u.f, 0.5);
  EXPECT_EQ(v[2].u.i, 1);
  EXPECT_EQ(v[3].count, 5u);
  EXPECT_EQ(v[4].count, 19u);
  EXPECT_EQ(memcmp(v[4].u.bytes, "bytes that are long", 19), 0);
  EXPECT_EQ(v[5].u.ints[1], 7);
  EXPECT_EQ(v[6].u.floats[0], 7.0);
  EXPECT_EQ(v[6].u.floats[1], 2.5);
  EXPECT_EQ(v[7].u.bools[1], 1);
  EXPECT_STREQ(v[8].u.strings[1], "a longer one");
  EXPECT_STREQ(v[8].u.strings[2], "raw");
  EXPECT_EQ(v[9].u.tensor, args[12].pointer);
  EXPECT_EQ(v[10].u.i, 1);
  EXPECT_EQ(v[11].u.i, OPW_BF16);
  for (uint32_t i = 0; i < b.op.attr_count; ++i) {
    EXPECT_EQ(v[i].kind, OPW_ATTR_INT + i);
    args[b.op.input_count + i] = b.values.of(kNone);
  }
  ASSERT_TRUE(b.bind(args)) << b.text.data();
  for (uint32_t i = 0; i < b.op.attr_count; ++i)
    EXPECT_EQ(v[i].kind, uint32_t{OPW_ATTR_NONE});
}

TEST(TvmFfi, ListsOfACallShareTheirRoom) {
  Bound b;
  std::vector<Any> args = b.good(), many(kListWords - 7, b.values.integer(1)); // seven are in the other lists
  args[8] = b.values.list(many);
  EXPECT_TRUE(b.bind(args)) << b.text.data();
  EXPECT_EQ(b.arguments.wordCount, kListWords);
  many.push_back(many[0]);
  args[8] = b.values.list(many);
  EXPECT_FALSE(b.bind(args));
  EXPECT_STREQ(b.text.data(), "t::op: attribute attr: found 3 elements after 1022 of other lists, expected at most "
                              "1024 in all lists of a call; pass ints as a shape");
  args[8] = b.values.shape(std::vector<int64_t>(5000, 3));
  ASSERT_TRUE(b.bind(args));
  EXPECT_EQ(b.arguments.attrs[5].count, 5000u);
}

TEST(TvmFfi, NonsenseIsRefused) {
  Bound b;
  Values &v = b.values;
  std::vector<Any> good = b.good(), some = good, elements = good;
  for (int32_t type = -2; type <= 80; ++type)
    if (type < kObject && type != kRawStr && type != kByteArrayPtr && type != kDLTensorPtr)
      some.push_back(v.of(type));
  for (int32_t type : {int32_t{kObject}, int32_t{kMap}, int32_t{kBigInt}, kObject + 128})
    some.push_back(v.text("no text", type));
  for (const char *text : {"", "f32", "near", "a text that says nothing of use"})
    some.insert(some.end(), {v.text(text), v.text(text, kRawStr), v.text(text, kByteArrayPtr)});
  some.insert(some.end(), {v.shape({}), v.shape({1, 2, 3}), v.list(std::vector<Any>(300, good[0]))});
  std::mt19937_64 random(1);
  auto any = [&](const std::vector<Any> &from) { return from[random() % from.size()]; };
  for (int i = 0; i < 200; ++i) {
    std::vector<Any> list(random() % 6);
    for (Any &a : list)
      a = any(some);
    some.push_back(v.list(list, random() % 2 ? kArray : kList));
  }
  int bound = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<Any> args = good;
    for (uint64_t changes = random() % 4; changes > 0; --changes)
      args[random() % args.size()] = any(some);
    if (random() % 16 == 0)
      args.resize(random() % 20, any(some));
    if (b.bind(args)) {
      ++bound;
      EXPECT_LE(b.arguments.inputCount, uint32_t{OPW_MAX_TENSORS});
      EXPECT_LE(b.arguments.wordCount, kListWords);
    } else {
      EXPECT_TRUE(b.kind == "TypeError" || b.kind == "ValueError");
      EXPECT_EQ(strncmp(b.text.data(), "t::op: ", 7), 0) << b.text.data();
    }
  }
  EXPECT_GT(bound, 2000);
  EXPECT_LT(bound, 18000);
}

} // namespace
} // namespace opw::tvmffi
