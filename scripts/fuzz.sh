#!/usr/bin/env bash
# Runs every fuzz target of the given packages for a while each.
#
#   scripts/fuzz.sh 20s ./sanity/... ./bifrost/envelope/...
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# Go spends a minute on minimising each new input unless it is told otherwise.
fuzz() { # package target
  go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x "$1" | tee "$out"
}

for package in $(go list "$@"); do
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    echo "== $package $target"
    fuzz "$package" "$target" && continue
    # Go now and then takes the end of the time itself for a failure. A real one
    # leaves an input behind.
    if grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out"; then
      echo "== the time was over in the middle of an input; once more"
      fuzz "$package" "$target" && continue
    fi
    exit 1
  done
done
