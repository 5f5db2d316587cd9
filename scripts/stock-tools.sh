#!/usr/bin/env bash
# Shows that an envelope needs no copy of this project: age, xz and tar as Debian ships them open what `bifrost seal` makes,
# and `recover-keyshares open` opens what they make. The files must come back byte for byte.
#
# usage: scripts/stock-tools.sh        with the binaries in build/, or in the folder that BIN names
#
# Installs what is missing of the three with apt-get. Works in a temporary folder, with a mnemonic that is published.
set -euo pipefail
umask 077
cd "$(dirname "$0")/.."

bin=$(realpath "${BIN:-build}")
fixtures=$PWD/testutil/fixture/keyshares

missing=()
for package in age:age xz-utils:xz tar:tar bsdutils:script; do
	command -v "${package#*:}" >/dev/null || missing+=("${package%%:*}")
done
if ((${#missing[@]})); then
	echo "installing ${missing[*]}"
	as_root=()
	((EUID == 0)) || as_root=(sudo)
	"${as_root[@]}" apt-get update -qq
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
echo "age $(age --version), $(xz --version | head -1), $(tar --version | head -1)"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# bifrost refuses a mnemonic that others may read, as they may in a checkout.
mnemonic=$tmp/mnemonic
cat bifrost/envelope/testdata/stock/mnemonic >"$mnemonic"

# age takes a passphrase from a terminal and from nowhere else, so it gets one from script(1). What that shows goes to a
# log: its terminal echoes what is typed.
with_passphrase() { # lines_to_type command
	for ((i = 0; i < $1; i++)); do
		cat "$mnemonic"
	done | SHELL=/bin/sh script -qec "$2" /dev/null >"$tmp/log" 2>&1 || {
		echo "failed: $2" >&2
		exit 1
	}
}

check() { # expected actual what
	if ! diff -r "$1" "$2"; then
		echo "not the same bytes: $3" >&2
		exit 1
	fi
	echo "same bytes: $3"
}

for member in n4/member00 n20/member00; do
	files=$fixtures/$member
	work=$tmp/$member
	mkdir -p "$work/stock" "$work/ours"

	"$bin/bifrost" seal --mnemonic-file "$mnemonic" --out "$work/ours.age" "$files"/*
	with_passphrase 1 "age -d -o '$work/stream' '$work/ours.age'"
	xz -dc --format=lzma <"$work/stream" | tar -x -C "$work/stock"
	check "$files" "$work/stock" "$member, sealed here, opened with age, xz and tar"

	(cd "$files" && tar -c --format=ustar -- *) | xz -c --format=lzma >"$work/stream"
	with_passphrase 2 "age -p -o '$work/stock.age' '$work/stream'"
	"$bin/recover-keyshares" open --mnemonic-file "$mnemonic" --out "$work/ours" "$work/stock.age"
	check "$files" "$work/ours" "$member, sealed with tar, xz and age, opened here"
done
