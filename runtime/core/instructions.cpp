#include "core/instructions.h"

namespace opw::runtime {
namespace {

struct Table {
  InsnInfo at[kInsnCount] = {};

  constexpr Table() {
    using O = Operand;
    at[OPW_X_INT] = {"INT", "", 'I', O::Immediate};
    at[OPW_X_POOL] = {"POOL", "", 'I', O::PoolI};
    at[OPW_X_DIM] = {"DIM", "", 'I', O::TensorAxis};
    at[OPW_X_DIM_AT] = {"DIM_AT", "I", 'I', O::Tensor};
    at[OPW_X_RANK] = {"RANK", "", 'I', O::Tensor};
    at[OPW_X_NUMEL] = {"NUMEL", "", 'I', O::Tensor};
    at[OPW_X_STRIDE] = {"STRIDE", "", 'I', O::TensorAxis};
    at[OPW_X_PRESENT] = {"PRESENT", "", 'I', O::Tensor};
    at[OPW_X_COUNT] = {"COUNT", "", 'I', O::Variadic};
    at[OPW_X_SUMDIM] = {"SUMDIM", "", 'I', O::VariadicAxis};
    at[OPW_X_ATTR] = {"ATTR", "", 'I', O::IntAttr};
    at[OPW_X_ATTR_AT] = {"ATTR_AT", "I", 'I', O::IntListAttr};
    at[OPW_X_ATTR_LEN] = {"ATTR_LEN", "", 'I', O::ListAttr};
    at[OPW_X_VALUE] = {"VALUE", "", '?', O::HostValue};
    at[OPW_X_VAR] = {"VAR", "", '?', O::Var};
    at[OPW_X_SIZE] = {"SIZE", "", 'I', O::Size};
    at[OPW_X_ITEMSIZE] = {"ITEMSIZE", "", 'I', O::Tensor};
    at[OPW_X_FPOOL] = {"FPOOL", "", 'F', O::PoolF};
    at[OPW_X_FATTR] = {"FATTR", "", 'F', O::FloatAttr};
    at[OPW_X_FATTR_AT] = {"FATTR_AT", "I", 'F', O::FloatListAttr};
    at[OPW_X_ADD] = {"ADD", "II", 'I', O::None};
    at[OPW_X_SUB] = {"SUB", "II", 'I', O::None};
    at[OPW_X_MUL] = {"MUL", "II", 'I', O::None};
    at[OPW_X_FDIV] = {"FDIV", "II", 'I', O::None};
    at[OPW_X_CDIV] = {"CDIV", "II", 'I', O::None};
    at[OPW_X_MOD] = {"MOD", "II", 'I', O::None};
    at[OPW_X_MIN] = {"MIN", "II", 'I', O::None};
    at[OPW_X_MAX] = {"MAX", "II", 'I', O::None};
    at[OPW_X_EQ] = {"EQ", "II", 'I', O::None};
    at[OPW_X_NE] = {"NE", "II", 'I', O::None};
    at[OPW_X_LT] = {"LT", "II", 'I', O::None};
    at[OPW_X_LE] = {"LE", "II", 'I', O::None};
    at[OPW_X_AND] = {"AND", "II", 'I', O::None};
    at[OPW_X_OR] = {"OR", "II", 'I', O::None};
    at[OPW_X_NOT] = {"NOT", "I", 'I', O::None};
    at[OPW_X_NEG] = {"NEG", "I", 'I', O::None};
    at[OPW_X_ABS] = {"ABS", "I", 'I', O::None};
    at[OPW_X_NPOW2] = {"NPOW2", "I", 'I', O::None};
    at[OPW_X_SELECT] = {"SELECT", "IXX", 'X', O::None};
    at[OPW_X_FADD] = {"FADD", "FF", 'F', O::None};
    at[OPW_X_FSUB] = {"FSUB", "FF", 'F', O::None};
    at[OPW_X_FMUL] = {"FMUL", "FF", 'F', O::None};
    at[OPW_X_FDIVF] = {"FDIVF", "FF", 'F', O::None};
    at[OPW_X_FMIN] = {"FMIN", "FF", 'F', O::None};
    at[OPW_X_FMAX] = {"FMAX", "FF", 'F', O::None};
    at[OPW_X_FNEG] = {"FNEG", "F", 'F', O::None};
    at[OPW_X_FSQRT] = {"FSQRT", "F", 'F', O::None};
    at[OPW_X_FLT] = {"FLT", "FF", 'I', O::None};
    at[OPW_X_FEQ] = {"FEQ", "FF", 'I', O::None};
    at[OPW_X_I2F] = {"I2F", "I", 'F', O::None};
    at[OPW_X_FLOOR] = {"FLOOR", "F", 'I', O::None};
    at[OPW_X_CEIL] = {"CEIL", "F", 'I', O::None};
    at[OPW_X_ROUND] = {"ROUND", "F", 'I', O::None};
  }
};

constexpr Table kTable;

} // namespace

const InsnInfo &insnInfo(uint8_t op) { return kTable.at[op < kInsnCount ? op : 0]; }

} // namespace opw::runtime
