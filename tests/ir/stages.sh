#!/bin/sh
# opwright-opt starts and stops at any stage: whatever way the stages are cut, the plan is the same; what does not fit is
# refused. Usage: stages.sh OPWRIGHT_OPT SOURCE_DIR
set -e
opt=$1 source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# expect TEXT COMMAND...: the command fails and says this.
expect() {
  text=$1
  shift
  if "$@" >"$out/found" 2>&1; then
    echo "accepted: $*"
    exit 1
  fi
  grep -qF -- "$text" "$out/found" || { echo "$*: found $(cat "$out/found"), expected $text"; exit 1; }
}

for ttir in "$source"/passes/vector_add.ttir "$source"/passes/attention.ttir "$source"/ir/ttir/branches.ttir; do
  "$opt" --stop-after=plan --locations "$ttir" >"$out/whole"
  "$opt" --locations "$ttir" >"$out/import"
  "$opt" --start-from=normalize --locations "$out/import" >"$out/normalize"
  "$opt" --start-from=plan --locations "$out/normalize" >"$out/plan"
  "$opt" --start-from=normalize --stop-after=plan --locations "$out/import" | cmp - "$out/whole"
  cmp "$out/plan" "$out/whole"
  "$opt" --locations "$out/plan" | cmp - "$out/whole"
  grep -q plan.loop "$out/whole"
done
# branches.ttir has a return in the middle: normalizing is not skipped
! cmp -s "$out/import" "$out/normalize" || { echo "normalize changed nothing"; exit 1; }

expect "found TTIR, expected the printed IR that normalize leaves" "$opt" --start-from=plan "$source/passes/softmax.ttir"
expect "error: found an operation of a plan, expected tile IR [plan.loop] in kernel 'vector_add'" \
  "$opt" --start-from=plan "$source/passes/vector_add.plan"
expect "--stop-after=import comes before --start-from=plan" "$opt" --start-from=plan --stop-after=import "$out/plan"
expect "unknown option --start-from=emit" "$opt" --start-from=emit "$out/plan"
expect "unknown option --stop-after=emit" "$opt" --stop-after=emit "$out/plan"
