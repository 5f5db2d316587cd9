#!/usr/bin/env bash
# Counts the lines that it took to embed the module in each of the two chains here: those
# marked "// embed", and those between "// embed: begin" and "// embed: end".
set -euo pipefail
cd "$(dirname "$0")/.."
for chain in app testutil/embedding/manual; do
  n=$(cat "$chain"/*.go | awk '
    /\/\/ embed: begin/ { in_part = 1; next }
    /\/\/ embed: end/ { in_part = 0; next }
    in_part && NF && $1 !~ /^\/\// || /\/\/ embed$/ { n++ }
    END { print n + 0 }')
  printf '%-28s %d lines\n' "$chain" "$n"
done
