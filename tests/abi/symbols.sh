#!/bin/sh
# Builds the example in C, runs it, and reads with the system's tools what its library exports and needs.
# Usage: symbols.sh SOURCE_DIR LIBOPWRIGHT_RUNTIME_A
set -e
source=$1 archive=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sh "$source/examples/c/build.sh" "$source/include" "$archive" "$out"
"$out/main" "$out/libadd.so"

exported=$(nm -D --defined-only "$out/libadd.so" | awk '{print $3}')
[ "$exported" = "opw_library" ] || { echo "exports: $exported, expected opw_library alone"; exit 1; }
needed=$(readelf -d "$out/libadd.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ "$needed" = "libc.so.6" ] || { echo "needs: $needed, expected libc.so.6 alone"; exit 1; }
if ldd "$out/libadd.so" | grep -E 'libstdc|libm\.|libgcc|libpthread|libdl'; then
  echo "ldd finds more than libc"
  exit 1
fi
if nm "$archive" 2>/dev/null | grep -E ' U (_Z|__cxa|__gxx|_Unwind)' | grep -vE '_ZNK?3opw' | sort -u | grep .; then
  echo "the runtime archive needs a C++ library"
  exit 1
fi
nm -D "$out/libadd.so" | sed -n 's/.*@GLIBC_\([0-9.]*\)/\1/p' | sort -Vu | tail -1 | {
  read -r newest
  [ "$(printf '%s\n2.28\n' "$newest" | sort -V | tail -1)" = 2.28 ] || { echo "needs GLIBC_$newest, expected at most 2.28"; exit 1; }
}
