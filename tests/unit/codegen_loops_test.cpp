// Lane loops: contiguous accesses, tails, masks, accumulators, program ids.
#include "codegen_harness.h"

#include <cmath>
#include <limits>
#include <random>

using namespace opw::test;

namespace {

const int64_t kCounts[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 130, 257, 1000};

/// c[i] = a[i] + b[i] for the lanes of a block that are below n, as a vector add is planned.
void vectorAdd(Plan &p, int64_t block) {
  ValueId a = p.pointer(Elem::F32), b = p.pointer(Elem::F32), c = p.pointer(Elem::F32), n = p.arg(i32());
  ValueId base = p.wide(p.op(OpKind::MulI, {p.pid(), p.c(block, Elem::I32)}));
  ValueId left = p.op(OpKind::SubI, {p.wide(n), base});
  ValueId high = p.op(OpKind::MaxSI, {p.op(OpKind::MinSI, {left, p.c(block)}), p.c(0)});
  p.lanes(p.c(0), high, [&](ValueId i) {
    ValueId at = p.op(OpKind::AddI, {base, i});
    p.store(c, at, p.op(OpKind::AddF, {p.load(a, at), p.load(b, at)}), kNone, true);
  });
}

TEST_P(Codegen, VectorAdd) {
  for (int64_t block : {1, 2, 4, 8, 64, 1024, 65536}) {
    Plan p;
    vectorAdd(p, block);
    Kernel kernel(p, GetParam());
    for (int64_t n : kCounts)
      for (uint32_t stream : {0, 1}) {
        kernel.flags = stream;
        Guarded<float> a(n), b(n), c(n);
        for (int64_t i = 0; i < n; i++)
          a[i] = float(i) + 0.5f, b[i] = float(3 * i);
        kernel.run(uint32_t((n + block - 1) / block + 1), a.data(), b.data(), c.data(), int(n));
        for (int64_t i = 0; i < n; i++)
          ASSERT_EQ(c[i], a[i] + b[i]) << "n " << n << " block " << block << " i " << i;
      }
  }
}

TEST_P(Codegen, ConstantTrips) {
  for (int64_t n : kCounts) {
    Plan p;
    ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32);
    ValueId sum = p.lanes(p.c(0), p.c(n), {p.f(1.0f)}, {OpKind::AddF}, [&](ValueId i, std::vector<ValueId> acc) {
      ValueId x = p.load(a, i);
      p.store(c, p.op(OpKind::AddI, {i, p.c(1)}), p.op(OpKind::MulF, {x, x}));
      return std::vector{p.op(OpKind::AddF, {acc[0], x})};
    })[0];
    p.store(c, p.c(0), sum);
    Kernel kernel(p, GetParam());
    Guarded<float> in(n), out(n + 1);
    float expected = 1;
    for (int64_t i = 0; i < n; i++)
      in[i] = float(i % 11), expected += in[i];
    kernel.run(1, in.data(), out.data());
    EXPECT_EQ(out[0], expected) << n;
    for (int64_t i = 0; i < n; i++)
      ASSERT_EQ(out[i + 1], in[i] * in[i]);
  }
}

TEST_P(Codegen, MasksAndOther) {
  Plan p;
  ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32), n = p.arg(i64()), m = p.arg(i64());
  p.lanes(p.c(0), n, [&](ValueId i) {
    ValueId mask = p.cmp("slt", i, m);
    ValueId odd = p.op(OpKind::TruncI, {p.op(OpKind::AndI, {i, p.c(1)})}, i1());
    ValueId both = p.op(OpKind::AndI, {mask, odd});
    ValueId x = p.load(a, i, both, p.f(-7.0f));
    ValueId y = p.load(a, i, mask);
    p.store(c, i, p.op(OpKind::AddF, {x, y}), odd);
  });
  Kernel kernel(p, GetParam());
  for (int64_t n : kCounts)
    for (int64_t m : {int64_t(0), n / 2, n}) {
      Guarded<float> in(m), out(n);
      for (int64_t i = 0; i < m; i++)
        in[i] = float(i + 1);
      for (float &x : out)
        x = -1;
      kernel.run(1, in.data(), out.data(), n, m);
      for (int64_t i = 0; i < n; i++) {
        float x = i < m && i % 2 ? in[i] : -7, y = i < m ? in[i] : 0;
        ASSERT_EQ(out[i], i % 2 ? x + y : -1) << n << " " << m << " " << i;
      }
    }
}

TEST_P(Codegen, ReverseStridedAndGathered) {
  Plan p;
  ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32), n = p.arg(i64()), s = p.arg(i64()),
          index = p.pointer(Elem::I32);
  ValueId last = p.op(OpKind::SubI, {n, p.c(1)});
  p.lanes(p.c(0), n, [&](ValueId i) {
    ValueId back = p.op(OpKind::SubI, {last, i});
    ValueId x = p.load(a, back);                            // reversed
    ValueId y = p.load(a, p.op(OpKind::MulI, {i, s}));      // run-time stride
    ValueId z = p.load(a, p.op(OpKind::ShlI, {i, p.c(1)})); // constant stride
    ValueId w = p.load(a, p.wide(p.load(index, i)));        // gathered
    ValueId u = p.load(a, p.c(3));                          // one for all
    ValueId t = p.op(OpKind::AddF, {p.op(OpKind::AddF, {x, y}), p.op(OpKind::AddF, {z, p.op(OpKind::AddF, {w, u})})});
    p.store(c, back, t);                                                // reversed
    p.store(c, p.op(OpKind::AddI, {n, p.op(OpKind::MulI, {i, s})}), t); // scattered
  });
  Kernel kernel(p, GetParam());
  for (int64_t n : kCounts) {
    std::vector<float> in(4 * n + 4), out(4 * n);
    std::vector<int32_t> at(n);
    for (size_t i = 0; i < in.size(); i++)
      in[i] = float(i * 7 % 101);
    for (int64_t i = 0; i < n; i++)
      at[i] = int32_t(i * 13 % n);
    kernel.run(1, in.data(), out.data(), n, int64_t(3), at.data());
    for (int64_t i = 0; i < n; i++) {
      float expected = (in[n - 1 - i] + in[3 * i]) + (in[2 * i] + (in[at[i]] + in[3]));
      ASSERT_EQ(out[n - 1 - i], expected) << n << " " << i;
      ASSERT_EQ(out[n + 3 * i], expected);
    }
  }
}

template <typename T> T referenceCombine(OpKind kind, T x, T y) {
  switch (kind) {
  case OpKind::AddF:
  case OpKind::AddI:
    return x + y;
  case OpKind::MinSI:
    return std::min(x, y);
  case OpKind::MaxSI:
    return std::max(x, y);
  case OpKind::MinNumF:
    return T(std::fmin(double(x), double(y)));
  case OpKind::MaxNumF:
    return T(std::fmax(double(x), double(y)));
  case OpKind::MinimumF:
  case OpKind::MaximumF:
    if (x != x || y != y)
      return std::numeric_limits<T>::quiet_NaN();
    return kind == OpKind::MinimumF ? std::min(x, y) : std::max(x, y);
  case OpKind::XOrI:
    return T(int64_t(x) ^ int64_t(y));
  default:
    return x;
  }
}

TEST_P(Codegen, FloatAccumulators) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (OpKind kind : {OpKind::AddF, OpKind::MinNumF, OpKind::MaxNumF, OpKind::MinimumF, OpKind::MaximumF}) {
    Plan p;
    ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32), n = p.arg(i64()), init = p.arg(f32());
    p.store(c, p.c(0), p.lanes(p.c(0), n, {init}, {kind}, [&](ValueId i, std::vector<ValueId> acc) {
      return std::vector{p.op(kind, {acc[0], p.load(a, i)})};
    })[0]);
    Kernel kernel(p, GetParam());
    for (int64_t n : kCounts)
      for (int fill = 0; fill < 4; fill++)
        for (float init : {0.0f, -inf, nan, 3.0f}) {
          Guarded<float> in(n);
          for (int64_t i = 0; i < n; i++)
            in[i] = fill == 0 ? float(i * 37 % 101) - 50 : fill == 1 ? nan : fill == 2 && i == n / 2 ? nan : float(i);
          if (fill == 3 && n)
            in[n - 1] = -inf;
          float expected = init;
          std::vector<float> result{-1};
          for (int64_t i = 0; i < n; i++)
            expected = referenceCombine(kind, expected, in[i]);
          kernel.run(1, in.data(), result.data(), n, init);
          float out = result[0];
          if (expected != expected)
            ASSERT_NE(out, out) << name(kind) << " " << n << " " << fill << " " << init;
          else
            ASSERT_EQ(out, expected) << name(kind) << " " << n << " " << fill << " " << init;
        }
  }
}

TEST_P(Codegen, IntegerAccumulatorsOfEveryWidth) {
  for (Elem elem : {Elem::I8, Elem::I16, Elem::I32, Elem::I64})
    for (OpKind kind : {OpKind::AddI, OpKind::MinSI, OpKind::MaxSI, OpKind::XOrI}) {
      Plan p;
      ValueId a = p.pointer(elem), c = p.pointer(elem), n = p.arg(i64());
      p.store(c, p.c(0), p.lanes(p.c(0), n, {p.c(3, elem)}, {kind}, [&](ValueId i, std::vector<ValueId> acc) {
        return std::vector{p.op(kind, {p.load(a, i), acc[0]})};
      })[0]);
      Kernel kernel(p, GetParam());
      auto check = [&](auto zero) {
        using T = decltype(zero);
        for (int64_t n : kCounts) {
          Guarded<T> in(n);
          T expected = 3;
          std::vector<T> out{T(-1)};
          for (int64_t i = 0; i < n; i++) {
            in[i] = T(i * 7919 % 251 - 120);
            expected = T(referenceCombine<int64_t>(kind, expected, in[i]));
          }
          kernel.run(1, in.data(), out.data(), n);
          ASSERT_EQ(out[0], expected) << name(kind) << " " << name(elem) << " " << n;
        }
      };
      elem == Elem::I8    ? check(int8_t{})
      : elem == Elem::I16 ? check(int16_t{})
      : elem == Elem::I32 ? check(int32_t{})
                          : check(int64_t{});
    }
}

TEST_P(Codegen, ColumnSumsInsideLanes) { // a seq loop inside a lane loop carries vectors
  Plan p;
  ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32), rows = p.arg(i64()), columns = p.arg(i64());
  p.lanes(p.c(0), columns, [&](ValueId i) {
    ValueId sum = p.seq(p.c(0), rows, {p.f(0)}, [&](ValueId r, std::vector<ValueId> acc) {
      ValueId at = p.op(OpKind::AddI, {p.op(OpKind::MulI, {r, columns}), i});
      return std::vector{p.op(OpKind::AddF, {acc[0], p.load(a, at)})};
    })[0];
    p.store(c, i, sum);
  });
  Kernel kernel(p, GetParam());
  for (int64_t columns : kCounts)
    for (int64_t rows : {0, 1, 5}) {
      Guarded<float> in(rows * columns), out(columns);
      for (int64_t i = 0; i < rows * columns; i++)
        in[i] = float(i % 19);
      kernel.run(1, in.data(), out.data(), rows, columns);
      for (int64_t i = 0; i < columns; i++) {
        float sum = 0;
        for (int64_t r = 0; r < rows; r++)
          sum += in[r * columns + i];
        ASSERT_EQ(out[i], sum);
      }
    }
}

TEST_P(Codegen, ProgramIds) {
  Plan p;
  ValueId out = p.pointer(Elem::I32);
  ValueId x = p.pid("x"), y = p.pid("y"), z = p.pid("z");
  auto size = [&](const char *axis) {
    return p.op(OpKind::GetNumPrograms, {}, i32(), attribute("axis", Attribute::keyword(axis)));
  };
  ValueId at = p.op(OpKind::AddI,
                    {x, p.op(OpKind::MulI, {size("x"), p.op(OpKind::AddI, {y, p.op(OpKind::MulI, {size("y"), z})})})});
  ValueId code = p.op(OpKind::AddI, {x, p.op(OpKind::AddI, {p.op(OpKind::MulI, {y, p.c(100, Elem::I32)}),
                                                            p.op(OpKind::MulI, {z, p.c(10000, Elem::I32)})})});
  p.store(out, p.wide(at), code);
  Kernel kernel(p, GetParam());
  uint32_t grid[3] = {3, 4, 5};
  for (int64_t low = 0; low <= 60; low += 7)
    for (int64_t high = low; high <= 60; high += 5) {
      std::vector<int> got(60, -1);
      kernel.runGrid(grid, low, high, got.data());
      for (int i = 0; i < 60; i++)
        ASSERT_EQ(got[i], i >= low && i < high ? i % 3 + i / 3 % 4 * 100 + i / 12 * 10000 : -1);
    }
}

TEST_P(Codegen, UniformControl) {
  Plan p;
  ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32), n = p.arg(i64()), flag = p.arg(i32());
  ValueId one = p.cmp("ne", flag, p.c(0, Elem::I32));
  p.lanes(p.c(0), n, [&](ValueId i) { // an if in lanes that yields vectors
    ValueId x = p.load(a, i);
    OpId id = p.b.create(OpKind::If, {one}, {f32()});
    BlockId outer = p.b.block();
    for (int side = 0; side < 2; side++) {
      BlockId block = p.fn.addBlock(id);
      p.fn.op(id).regions.emplace_back();
      p.fn.op(id).regions.back().blocks.push_back(block);
      p.b.setBlock(block);
      p.b.create(OpKind::Yield, {side == 0 ? p.op(OpKind::AddF, {x, x}) : p.f(5)}, {});
    }
    p.b.setBlock(outer);
    p.store(c, i, p.fn.op(id).results[0]);
  });
  Kernel kernel(p, GetParam());
  for (int64_t n : kCounts)
    for (int flag : {0, 1}) {
      std::vector<float> in(n), out(n);
      for (int64_t i = 0; i < n; i++)
        in[i] = float(i);
      kernel.run(1, in.data(), out.data(), n, flag);
      for (int64_t i = 0; i < n; i++)
        ASSERT_EQ(out[i], flag ? 2 * in[i] : 5);
    }
}

TEST_P(Codegen, WhileLoop) { // the greatest power of two below n
  Plan p;
  ValueId c = p.pointer(Elem::I64), n = p.arg(i64());
  OpId id = p.b.create(OpKind::While, {p.c(1)}, {i64()});
  BlockId outer = p.b.block(), before = p.fn.addBlock(id), after = p.fn.addBlock(id);
  p.fn.op(id).regions.resize(2);
  p.fn.op(id).regions[0].blocks = {before};
  p.fn.op(id).regions[1].blocks = {after};
  ValueId x = p.fn.addArgument(before, i64()), y = p.fn.addArgument(after, i64());
  p.b.setBlock(before);
  p.b.create(OpKind::Condition, {p.cmp("slt", p.op(OpKind::MulI, {x, p.c(2)}), n), x}, {});
  p.b.setBlock(after);
  p.b.create(OpKind::Yield, {p.op(OpKind::MulI, {y, p.c(2)})}, {});
  p.b.setBlock(outer);
  p.store(c, p.c(0), p.fn.op(id).results[0]);
  Kernel kernel(p, GetParam());
  std::vector<int64_t> out(1);
  for (auto [n, expected] : {std::pair<int64_t, int64_t>{1, 1}, {3, 2}, {1000, 512}, {1025, 1024}}) {
    kernel.run(1, out.data(), n);
    EXPECT_EQ(out[0], expected);
  }
}

TEST_P(Codegen, MemoRunsOncePerKey) {
  Plan p;
  ValueId in = p.pointer(Elem::F32), c = p.pointer(Elem::F32), count = p.pointer(Elem::I32);
  ValueId half = p.op(OpKind::DivSI, {p.pid(), p.c(2, Elem::I32)});
  ValueId cached = p.buffer(Elem::F32, 1);
  OpId id = p.b.create(OpKind::PlanMemo, {half}, {}, attribute("slot", Attribute::integerOf(0)));
  BlockId outer = p.b.block(), inner = p.fn.addBlock(id);
  p.fn.op(id).regions.resize(1);
  p.fn.op(id).regions[0].blocks = {inner};
  p.b.setBlock(inner);
  p.store(cached, p.c(0), p.load(in, p.wide(half)));
  p.store(count, p.c(0), p.op(OpKind::AddI, {p.load(count, p.c(0)), p.c(1, Elem::I32)}));
  p.b.create(OpKind::Yield, {}, {});
  p.b.setBlock(outer);
  p.store(c, p.wide(p.pid()), p.load(cached, p.c(0)));
  Kernel kernel(p, GetParam());
  std::vector<float> values{1, 2, 3, 4}, out(8);
  std::vector<int> fills{0};
  kernel.run(8, values.data(), out.data(), fills.data());
  EXPECT_EQ(fills[0], 4);
  kernel.run(8, values.data(), out.data(), fills.data()); // another launch
  EXPECT_EQ(fills[0], 8);
  for (int i = 0; i < 8; i++)
    EXPECT_EQ(out[i], values[i / 2]);
}

TEST_P(Codegen, PrefetchNeverFaults) {
  Plan p;
  ValueId a = p.pointer(Elem::F32), c = p.pointer(Elem::F32), n = p.arg(i64());
  p.lanes(p.c(0), n, [&](ValueId i) {
    p.b.create(OpKind::PlanPrefetch, {a, p.op(OpKind::AddI, {i, p.c(1 << 20)})}, {});
    p.store(c, i, p.load(a, i));
  });
  Kernel kernel(p, GetParam());
  Guarded<float> in(100), out(100);
  for (int i = 0; i < 100; i++)
    in[i] = float(i);
  kernel.run(1, in.data(), out.data(), int64_t(100));
  for (int i = 0; i < 100; i++)
    EXPECT_EQ(out[i], in[i]);
}

TEST_P(Codegen, SmallTypesCopyWithTailsAtAGuardPage) {
  for (Elem elem : {Elem::I1, Elem::I8, Elem::I16, Elem::F16, Elem::BF16, Elem::F64, Elem::I64}) {
    Plan p;
    ValueId a = p.pointer(elem), c = p.pointer(elem), n = p.arg(i64());
    p.lanes(p.c(0), n, [&](ValueId i) { p.store(c, i, p.load(a, i)); });
    Kernel kernel(p, GetParam());
    unsigned bytes = byteWidth(elem);
    for (int64_t n : kCounts) {
      Guarded<uint8_t> in(n * bytes), out(n * bytes);
      for (uint8_t &x : in)
        x = elem == Elem::I1 ? (&x - in.data()) % 3 == 0 : uint8_t((&x - in.data()) * 29);
      kernel.run(1, in.data(), out.data(), n);
      for (int64_t i = 0; i < n * bytes; i++)
        ASSERT_EQ(out[i], in[i]) << name(elem) << " " << n;
    }
  }
}

TEST_P(Codegen, MasksOnNarrowElementsAndScatters) {
  for (Elem elem : {Elem::I8, Elem::I16, Elem::I32}) {
    Plan p;
    ValueId a = p.pointer(elem), c = p.pointer(elem), d = p.pointer(elem), n = p.arg(i64()), m = p.arg(i64()),
            k = p.arg(i64());
    p.lanes(p.c(0), n, [&](ValueId i) {
      ValueId mask = p.cmp("slt", i, m);
      ValueId third = p.op(OpKind::MulI, {i, k});
      ValueId x = p.load(a, i, mask, p.c(77, elem)), y = p.load(a, third, p.cmp("slt", third, m));
      ValueId back = p.load(a, p.op(OpKind::SubI, {p.op(OpKind::SubI, {m, p.c(1)}), i}), mask);
      p.store(c, i, p.op(OpKind::AddI, {p.op(OpKind::AddI, {x, y}), back}), mask);
      p.store(d, third, x, p.cmp("slt", third, m));
    });
    Kernel kernel(p, GetParam());
    auto check = [&](auto zero) {
      using T = decltype(zero);
      for (int64_t n : kCounts)
        for (int64_t m : {int64_t(0), n / 3, n}) {
          Guarded<T> in(m), out(m), far(m);
          for (int64_t i = 0; i < m; i++)
            in[i] = T(i * 7 + 1);
          kernel.run(1, in.data(), out.data(), far.data(), n, m, int64_t(3));
          for (int64_t i = 0; i < m; i++) {
            ASSERT_EQ(out[i], T(in[i] + (3 * i < m ? in[3 * i] : 0) + in[m - 1 - i]))
                << name(elem) << " " << n << " " << m << " " << i;
            ASSERT_EQ(far[i], i % 3 == 0 ? in[i / 3] : 0);
          }
        }
    };
    elem == Elem::I8 ? check(int8_t{}) : elem == Elem::I16 ? check(int16_t{}) : check(int32_t{});
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, Codegen, testing::ValuesIn(levels()), levelName);

} // namespace
