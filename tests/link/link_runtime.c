/* Links tables and the runtime into one C program, no dlopen: the archive needs libc alone. */
#include <opwright/plugin.h>
#include <stddef.h>

int main(void) {
  const opw_library_t *library = opw_library(OPW_ABI_MAJOR);
  const opw_op_t *add = library ? library->api->find("sample", "add", 0) : NULL;
  return add && library->api->check(add, NULL) == OPW_OK ? 0 : 1;
}
