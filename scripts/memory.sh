#!/usr/bin/env bash
# What a signer's commands take of memory at the work factor that chains accept, by VmHWM of their processes. Each has one
# run of scrypt at a time, 268 MB. Fails above the limit. Needs the binaries in build/, and Linux.
set -euo pipefail
cd "$(dirname "$0")/.."
limit=342
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/" ./testutil/peak/run ./testutil/dealer/keyshares
words=$dir/words
(umask 077 && cat bifrost/envelope/testdata/stock/mnemonic >"$words")
took() { # what, arguments of run
	printf '%-42s ' "$1"
	"$dir/run" "${@:2}" 2>"$dir/err" >"$dir/took" || {
		cat "$dir/took" "$dir/err" >&2
		exit 1
	}
	tail -1 "$dir/took"
}
took "a bifrost that does nothing" build/bifrost version
for n in 4 20 40 100; do
	mkdir "$dir/$n"
	"$dir/keyshares" -members $n "$dir/$n"
	took "bifrost seal, $n members" \
		-max $limit build/bifrost seal --mnemonic-file "$words" --out "$dir/$n.age" "$dir/$n"/*
	took "recover-keyshares open, $n members" \
		-max $limit build/recover-keyshares open --mnemonic-file "$words" --out "$dir/$n.out" "$dir/$n.age"
	diff -r "$dir/$n" "$dir/$n.out"
done
