#!/usr/bin/env bash
# Runs every benchmark of the repository once, so that none of them rots. The
# packages are those with a benchmark in their tests.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t packages < <(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's,^,./,')
go test -short -run '^$' -bench . -benchtime 1x "${packages[@]}"
