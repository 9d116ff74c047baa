#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace opw::runtime {
namespace {

/// Cuts a text that vsnprintf truncated in the middle of a UTF-8 character.
void cutAtCharacter(char *text, size_t length) {
  size_t start = length;
  while (start > 0 && length - start < 4 && (static_cast<unsigned char>(text[start - 1]) & 0xc0) == 0x80)
    --start;
  if (start == 0)
    return;
  auto lead = static_cast<unsigned char>(text[start - 1]);
  size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (need > length - start + 1)
    text[start - 1] = 0;
}

void write(opw_error_t *error, opw_status_t code, const opw_op_t *op, const char *format, va_list list) {
  if (!error || error->struct_size < sizeof(opw_error_t))
    return;
  error->code = code;
  if (!error->text || error->text_size == 0)
    return;
  size_t room = error->text_size, used = 0;
  if (op) {
    int n = snprintf(error->text, room, "%s::%s: ", op->ns ? op->ns : "?", op->name ? op->name : "?");
    used = n < 0 ? 0 : static_cast<size_t>(n) < room ? static_cast<size_t>(n) : room - 1;
  }
  int n = vsnprintf(error->text + used, room - used, format, list);
  if (n >= 0 && static_cast<size_t>(n) >= room - used)
    cutAtCharacter(error->text, room - 1);
}

} // namespace

opw_status_t fail(opw_error_t *error, opw_status_t code, const char *format, ...) {
  va_list list;
  va_start(list, format);
  write(error, code, nullptr, format, list);
  va_end(list);
  return code;
}

opw_status_t failOp(opw_error_t *error, opw_status_t code, const opw_op_t *op, const char *format, ...) {
  va_list list;
  va_start(list, format);
  write(error, code, op, format, list);
  va_end(list);
  return code;
}

Text &Text::add(const char *format, ...) {
  va_list list;
  va_start(list, format);
  int n = vsnprintf(buffer + length, sizeof buffer - length, format, list);
  va_end(list);
  if (n > 0) {
    length += static_cast<uint32_t>(n);
    if (length >= sizeof buffer) {
      length = sizeof buffer - 1;
      memcpy(buffer + length - 3, "...", 3);
    }
  }
  return *this;
}

} // namespace opw::runtime
