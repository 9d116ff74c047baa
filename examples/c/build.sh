#!/bin/sh
# Builds libadd.so and main. Usage: build.sh INCLUDE_DIR LIBOPWRIGHT_RUNTIME_A OUT_DIR
set -e
include=$(realpath "$1") archive=$(realpath "$2") out=$(realpath "$3")
cd "$(dirname "$0")"
flags="-std=c11 -O2 -Wall -Wextra -Werror -I$include"
printf '{ global: opw_library; local: *; };\n' > "$out/exports.map"
${CC:-cc} $flags -fPIC -fvisibility=hidden -c add_plugin.c -o "$out/add_plugin.o"
${CC:-cc} -shared -nostartfiles -nodefaultlibs -Wl,-Bsymbolic,--no-undefined,-z,now,-z,relro,-z,nodelete,-z,noexecstack \
  -Wl,--gc-sections,-u,opw_library,--version-script="$out/exports.map" -o "$out/libadd.so" "$out/add_plugin.o" "$archive" -lc -lgcc
${CC:-cc} $flags main.c -o "$out/main" -ldl
