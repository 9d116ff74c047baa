#include "core/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace opw::runtime {
namespace {

// Appends to a text of fixed size; what does not fit is dropped.
class Line {
public:
  Line(char *text, size_t size) : text(text), size(size) {
    if (size)
      text[0] = '\0';
  }
  __attribute__((format(printf, 2, 3))) void add(const char *format, ...) {
    if (used + 1 >= size)
      return;
    va_list list;
    va_start(list, format);
    int count = vsnprintf(text + used, size - used, format, list);
    va_end(list);
    if (count > 0)
      used += static_cast<size_t>(count) < size - used ? static_cast<size_t>(count) : size - used - 1;
  }

private:
  char *text;
  size_t size, used = 0;
};

// Digits of the largest index of a dimension.
int digits(int64_t extent) {
  int count = 0;
  for (int64_t power = 1; power < extent && count < 18; power *= 10)
    ++count;
  return count;
}

void addValue(Line &line, const opw_cpu_site_t &site, uint64_t bits) {
  auto asSigned = static_cast<long long>(bits);
  auto asUnsigned = static_cast<unsigned long long>(bits);
  if (site.flags & OPW_SITE_POINTER) {
    line.add("0x%llx", asUnsigned);
    return;
  }
  int bytes = 8;
  bool isSigned = false;
  switch (site.dtype) {
  case OPW_F64: {
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!(site.flags & OPW_SITE_HEX)) {
      line.add("%f", value);
      return;
    }
    break;
  }
  case OPW_I8:
    isSigned = true;
    bytes = 1;
    break;
  case OPW_BOOL:
  case OPW_U8:
    bytes = 1;
    break;
  case OPW_I16:
    isSigned = true;
    bytes = 2;
    break;
  case OPW_U16:
    bytes = 2;
    break;
  case OPW_I32:
    isSigned = true;
    bytes = 4;
    break;
  case OPW_U32:
    bytes = 4;
    break;
  case OPW_I64:
    isSigned = true;
    break;
  default:
    break;
  }
  if (site.flags & OPW_SITE_HEX)
    line.add("0x%0*llx", 2 * bytes, bytes == 8 ? asUnsigned : asUnsigned & ((1ull << (8 * bytes)) - 1));
  else if (isSigned)
    line.add("%lld", asSigned);
  else
    line.add("%llu", asUnsigned);
}

} // namespace

void formatProgram(char *text, size_t size, const uint32_t grid[3], int64_t program) {
  int64_t rest = program / grid[0];
  snprintf(text, size, "(%lld, %lld, %lld)", static_cast<long long>(program % grid[0]),
           static_cast<long long>(rest % grid[1]), static_cast<long long>(rest / grid[1]));
}

void formatPrint(char *text, size_t size, const opw_cpu_site_t &site, const uint32_t grid[3], int64_t program,
                 const int64_t *index, uint64_t bits) {
  Line line(text, size);
  char ids[80];
  formatProgram(ids, sizeof ids, grid, program);
  line.add("pid %s", ids);
  if (site.dtype == OPW_NONE) {
    line.add("%s", site.text);
    return;
  }
  line.add(" idx (");
  for (uint32_t d = 0; d < site.rank; ++d)
    line.add(d ? ", %*lld" : "%*lld", digits(site.extents[d]), static_cast<long long>(index[d]));
  line.add(")%s", site.text);
  if (site.operand_count > 1)
    line.add("(operand %u) ", site.operand);
  addValue(line, site, bits);
}

} // namespace opw::runtime
