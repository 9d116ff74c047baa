#include "core/attribute.h"

#include "core/dtype.h"

#include <string.h>

namespace opw::runtime {
namespace {

opw_status_t failName(const opw_op_t *op, const opw_attr_t &attr, const char *name, size_t length, const Text &expected,
                      opw_error_t *error) {
  constexpr size_t kMost = 64; // what is expected must have room behind it
  if (length > kMost)
    for (length = kMost; length > 0 && (static_cast<unsigned char>(name[length]) & 0xc0) == 0x80;)
      --length; // not within a character
  return failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found '%.*s', expected %s", attr.name,
                static_cast<int>(length), name, expected.str());
}

} // namespace

int64_t choiceOf(const opw_attr_t &attr, const char *name, size_t length) {
  for (uint32_t c = 0; c < attr.choice_count; ++c)
    if (strlen(attr.choices[c]) == length && memcmp(attr.choices[c], name, length) == 0)
      return c;
  return -1;
}

Text expectedChoice(const opw_attr_t &attr) {
  Text known;
  for (uint32_t c = 0; c < attr.choice_count; ++c)
    known.add("%s'%s'", c ? ", " : "one of ", attr.choices[c]);
  return known;
}

opw_status_t readChoice(const opw_op_t *op, const opw_attr_t &attr, const char *name, size_t length, int64_t *choice,
                        opw_error_t *error) {
  *choice = choiceOf(attr, name, length);
  return *choice >= 0 ? OPW_OK : failName(op, attr, name, length, expectedChoice(attr), error);
}

opw_status_t readDtype(const opw_op_t *op, const opw_attr_t &attr, const char *name, size_t length, int64_t *dtype,
                       opw_error_t *error) {
  *dtype = dtypeByName(name, length);
  if (*dtype != OPW_NONE)
    return OPW_OK;
  Text known;
  for (opw_dtype_t d = 1; d < kDtypeCount; ++d)
    known.add("%s%s", d > 1 ? ", " : "an element type: ", dtypeInfo(d).name);
  return failName(op, attr, name, length, known, error);
}

} // namespace opw::runtime
