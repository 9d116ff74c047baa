#include "programs.h"

namespace opw::fuzz {
namespace {

constexpr uint8_t kIntegers[] = {OPW_X_ADD,  OPW_X_SUB, OPW_X_MUL, OPW_X_MUL, OPW_X_FDIV,
                                 OPW_X_CDIV, OPW_X_MOD, OPW_X_MIN, OPW_X_MAX, OPW_X_EQ,
                                 OPW_X_NE,   OPW_X_LT,  OPW_X_LE,  OPW_X_AND, OPW_X_OR};
constexpr uint8_t kUnary[] = {OPW_X_NOT, OPW_X_NEG, OPW_X_ABS, OPW_X_NPOW2};
constexpr uint8_t kFloats[] = {OPW_X_FADD, OPW_X_FSUB, OPW_X_FMUL, OPW_X_FDIVF, OPW_X_FMIN, OPW_X_FMAX};
constexpr uint8_t kToInteger[] = {OPW_X_FLOOR, OPW_X_CEIL, OPW_X_ROUND};

struct Maker {
  Choices &c;
  std::vector<opw_insn_t> code;
  int depth = 0, deepest = 0;

  void push(uint8_t op, uint16_t b, int32_t imm, int pops) {
    code.push_back({op, 0, b, imm});
    depth += 1 - pops;
    deepest = depth > deepest ? depth : deepest;
  }
  int32_t axis() { return static_cast<int32_t>(c.between(-3, 2)); }
  int32_t small() {
    static constexpr int32_t kNumbers[] = {0, 1, 2, 3, 8, 64, 127, 128, -1, -2, -7, 1 << 20, INT32_MAX, INT32_MIN};
    return c.oneOf(kNumbers);
  }

  void integerLeaf() {
    switch (c.below(14)) {
    case 0:
    case 1:
    case 2:
      return push(OPW_X_INT, 0, small(), 0);
    case 3:
      return push(OPW_X_POOL, 0, static_cast<int32_t>(c.below(2)), 0);
    case 4:
      return push(OPW_X_RANK, 0, 0, 0);
    case 5:
      return push(OPW_X_NUMEL, c.oneIn(2) ? 0 : 2, 0, 0);
    case 6:
      return push(OPW_X_STRIDE, 0, axis(), 0);
    case 7:
      return c.oneIn(2) ? push(OPW_X_PRESENT, 2, 0, 0) : push(OPW_X_COUNT, 3, 0, 0);
    case 8:
      return push(OPW_X_SUMDIM, 3, axis(), 0);
    case 9:
      return push(OPW_X_ATTR, c.oneIn(2) ? 0 : 5, 0, 0);
    case 10:
      return c.oneIn(2) ? push(OPW_X_ATTR_LEN, 2, 0, 0) : push(OPW_X_VALUE, 1, axis(), 0);
    case 11:
      return push(OPW_X_VAR, c.oneIn(2) ? 0 : 1, 0, 0);
    default:
      return push(OPW_X_DIM, c.oneIn(4) ? 2 : 0, axis(), 0);
    }
  }

  void floatLeaf() {
    switch (c.below(4)) {
    case 0:
      return push(OPW_X_FPOOL, 0, static_cast<int32_t>(c.below(2)), 0);
    case 1:
      return push(OPW_X_FATTR, 1, 0, 0);
    case 2:
      return push(OPW_X_VAR, 2, 0, 0);
    default:
      integerLeaf();
      return push(OPW_X_I2F, 0, 0, 1);
    }
  }

  void integer(size_t size) {
    size_t half = size / 2;
    if (size < 2)
      return integerLeaf();
    switch (c.below(12)) {
    case 0:
      integer(size - 1);
      return push(c.oneOf(kUnary), 0, 0, 1);
    case 1:
      integer(size / 3);
      integer(size / 3);
      integer(size / 3);
      return push(OPW_X_SELECT, 0, 0, 3);
    case 2:
      real(size - 1);
      return push(c.oneOf(kToInteger), 0, 0, 1);
    case 3:
      real(half);
      real(half);
      return push(c.oneIn(2) ? OPW_X_FLT : OPW_X_FEQ, 0, 0, 2);
    case 4:
      integer(half);
      return c.oneIn(2) ? push(OPW_X_DIM_AT, 0, 0, 1) : push(OPW_X_ATTR_AT, c.oneIn(2) ? 2 : 3, 0, 1);
    case 5:
    case 6:
    case 7: {
      integer(size - 1);
      uint8_t op = c.oneOf(kIntegers);
      return push(op, 1, small(), 1);
    }
    default:
      integer(half);
      integer(half);
      return push(c.oneOf(kIntegers), 0, 0, 2);
    }
  }

  void real(size_t size) {
    if (size < 2)
      return floatLeaf();
    switch (c.below(6)) {
    case 0:
      real(size - 1);
      return push(c.oneIn(2) ? OPW_X_FNEG : OPW_X_FSQRT, 0, 0, 1);
    case 1:
      integer(size / 3);
      real(size / 3);
      real(size / 3);
      return push(OPW_X_SELECT, 0, 0, 3);
    case 2:
      integer(size - 1);
      return push(OPW_X_I2F, 0, 0, 1);
    case 3:
      integer(size - 1);
      return push(OPW_X_FATTR_AT, 4, 0, 1);
    default:
      real(size / 2);
      real(size / 2);
      return push(c.oneOf(kFloats), 0, 0, 2);
    }
  }
};

} // namespace

RandomProgram validProgram(Choices &choices, size_t size, bool isFloat) {
  Maker maker{choices, {}};
  isFloat ? maker.real(size) : maker.integer(size);
  RandomProgram made;
  made.code = std::move(maker.code);
  made.view = {made.code.data(), static_cast<uint32_t>(made.code.size()), isFloat, static_cast<uint8_t>(maker.deepest),
               0};
  return made;
}

RandomProgram anyProgram(Choices &choices) {
  RandomProgram made = validProgram(choices, choices.below(6));
  for (size_t n = choices.below(4); n > 0; --n) {
    opw_insn_t &x = made.code[choices.below(made.code.size())];
    x = {static_cast<uint8_t>(choices.below(choices.oneIn(8) ? 256 : 80)), static_cast<uint8_t>(choices.oneIn(16)),
         static_cast<uint16_t>(choices.below(9)),
         static_cast<int32_t>(choices.oneIn(4) ? choices.bits(4) : choices.below(5))};
  }
  made.view = {made.code.data(), static_cast<uint32_t>(made.code.size()), static_cast<uint8_t>(choices.below(2)),
               static_cast<uint8_t>(choices.below(5)), 0};
  return made;
}

} // namespace opw::fuzz
