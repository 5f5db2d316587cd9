#!/usr/bin/env bash
# Records what `make demo` prints, in a real run, as the moving picture of the README: docs/demo.svg.
#
# usage: scripts/recording.sh
set -euo pipefail
cd "$(dirname "$0")/.."
make -s build
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
# The folder of this machine tells nobody anything.
make -s demo | sed -u "s,$PWD/,,g" | go run ./testutil/recording 'make demo' >"$tmp"
install -m 0644 "$tmp" docs/demo.svg
ls -l docs/demo.svg
