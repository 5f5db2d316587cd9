#!/usr/bin/env bash
# Runs every fuzz target of the given packages for a while each.
#
#   scripts/fuzz.sh 20s ./sanity/... ./bifrost/envelope/...
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift
for package in $(go list "$@"); do
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    echo "== $package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$package"
  done
done
