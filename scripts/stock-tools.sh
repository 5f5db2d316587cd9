#!/usr/bin/env bash
# Shows that an envelope needs no copy of this project: age, xz and tar as Debian ships them open what `bifrost seal` makes,
# and `recover-keyshares open` opens what they make. And that a home and its backups need nothing of it but the identity of the
# mnemonic: age opens its keyshares, and the lines of docs/format.md make files of a backup. And that the secrets in the envelope of a
# split vault are keyshares again by the script in docs/format.md. All must come back byte for byte.
#
# usage: scripts/stock-tools.sh        with the binaries in build/, or in the folder that BIN names
#
# Installs what is missing of the tools with apt-get. Works in a temporary folder, with a mnemonic that is published.
set -euo pipefail
umask 077
cd "$(dirname "$0")/.."

bin=$(realpath "${BIN:-build}")
fixtures=$PWD/testutil/fixture/keyshares

missing=()
for package in age:age xz-utils:xz tar:tar bsdutils:script jq:jq python3:python3; do
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

# recipe prints the lines of docs/format.md that begin with this comment.
recipe() { # beginning_of_the_comment
	awk -v first="# $1" '
		/^```/ { inside = 0 }
		index($0, first) == 1 { inside = found = 1 }
		inside
		END { exit !found }
	' docs/format.md
}

# Split vaults: the envelopes of all fixtures, with the lines and the script that the document has.
split_by_hand=$(recipe 'Keyshares by hand')
join=$(recipe 'Both keyshare files')
for envelope in bifrost/keyfiles/testdata/split/*/*.age; do
	member=$(basename "$(dirname "$envelope")")/$(basename "$envelope" .age)
	work=$tmp/split/$member
	mkdir -p "$work"
	cp "$envelope" "$work/envelope.age"
	cp "$(dirname "$envelope")/group.json" "$work"
	echo "$join" >"$work/join.py"
	echo "$split_by_hand" >"$work/recipe"
	with_passphrase 1 "cd '$work' && sh -eu recipe"
	mv "$work"/secrets-*.json "$tmp/split/secrets.json"
	(cd "$work" && rm envelope.age group.json join.py recipe)
	check "$fixtures/$member" "$work" "$member, split, opened with age, xz and tar and joined with Python"
done
(($(ls -d "$fixtures"/*/* | wc -l) == $(ls bifrost/keyfiles/testdata/split/*/*.age | wc -l)))

# Nothing comes of another vault's group part, or of one with a byte that was changed.
echo "$join" >"$tmp/split/join.py"
group=bifrost/keyfiles/testdata/split/n4/group.json
jq '.group |= .[:3000] + (if .[3000:3001] == "A" then "B" else "A" end) + .[3001:]' "$group" >"$tmp/split/changed.json"
for group in bifrost/keyfiles/testdata/split/n20/group.json "$tmp/split/changed.json"; do
	group=$(realpath "$group")
	mkdir "$tmp/split/none"
	if (cd "$tmp/split/none" && python3 ../join.py ../secrets.json "$group") 2>"$tmp/log"; then
		echo "a wrong group part passes" >&2
		exit 1
	fi
	grep -q 'of another vault\|do not fit' "$tmp/log"
	rmdir "$tmp/split/none"
done
echo "a wrong group part does not pass"

by_hand=$(recipe 'A backup by hand')
export_by_hand=$(recipe 'An export by hand')
attachment_by_hand=$(recipe 'The attachment by hand')
mnemonic_by_hand=$(recipe 'The mnemonic by hand')

work=$tmp/home
mkdir "$work"
home=$work/h
"$bin/bifrost" init --home "$home" --chain-id stock-1 --mnemonic-file "$mnemonic" \
	--operator cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2 >/dev/null 2>&1

# The mnemonic is in the backups, for a key that is not of this project.
age-keygen -o "$work/backup-key" 2>/dev/null
recipient=$(age-keygen -y "$work/backup-key")
sed -i "/^\[backup\]/,/^\[trust\]/ s/^recipients = .*/recipients = [\"$recipient\"]/; s/^include_mnemonic = .*/include_mnemonic = true/" \
	"$home/config.toml"

# What must be in each backup: what a home holds in plaintext, and the fixtures.
want=$work/want
mkdir -p "$want/keyshares/unplaced"
cp "$home/config.toml" "$want"
for member in n4/member00 n20/member00; do
	files=$fixtures/$member
	"$bin/recover-keyshares" open --mnemonic-file "$mnemonic" --out "$home/keyshares" "$tmp/$member/ours.age" >/dev/null
	cp "$files"/* "$want/keyshares/unplaced"
	"$bin/bifrost" backup create --home "$home" --to "$work/backups" >/dev/null
done
"$bin/bifrost" backup export --home "$home" --from "$work/backups" --out "$work/home.tar.age" >/dev/null

# The lines run in a folder of their own, with nothing of this project beside them but the command that they name.
mkdir "$work/hand" "$work/path"
ln -s "$bin/recover-keyshares" "$work/path"
cp "$mnemonic" "$work/hand/words"
# The export comes as it is mailed: in the message that a server took from bifrost.
go test ./bifrost/sink -count=1 -run '^TestMailGoesOverTLSToAServerThatIsKnown$' \
	-attach "$work/home.tar.age" -mail "$work/hand/mail" >/dev/null
(
	cd "$work/hand"
	PATH=$work/path:$PATH STORE=$(echo "$work"/backups/*/) sh -c "$by_hand"
	sh -c "set -eu; $attachment_by_hand"
	sh -c "set -eu; $export_by_hand"
)
check "$work/home.tar.age" "$work/hand/home.tar.age" "the attachment of a mail, taken out with Python"
check "$want" "$work/hand/home" "a backup, opened with age, sha256sum and jq"

# The words come back with the key and the folder alone.
mkdir "$work/words"
cp "$work/backup-key" "$work/words"
(cd "$work/words" && STORE=$(echo "$work"/backups/*/) sh -c "$mnemonic_by_hand")
check "$mnemonic" "$work/words/words" "the mnemonic, opened with age and jq and the key of a recipient"

# Keyshares lie sealed in a home, and so they do in an export.
opened() { # home folder_to_open_it_into
	local sealed
	mkdir -p "$2/keyshares/unplaced"
	cp "$1/config.toml" "$2"
	for sealed in "$1"/keyshares/unplaced/*.age; do
		age -d -i "$work/hand/identity" -o "$2/keyshares/unplaced/$(basename "$sealed" .age)" "$sealed"
	done
}
opened "$home" "$work/opened-home"
check "$want" "$work/opened-home" "the keyshares in a home, opened with age"
opened "$work/hand/exported" "$work/opened-export"
check "$want" "$work/opened-export" "an exported backup, opened with age and tar"

# One byte of a keyshare's object, and the lines end. The largest object is one; the mnemonic's is not looked at by them.
object=$(ls -S "$work"/backups/*/objects/*.age | head -1)
cp "$object" "$work/object"
{
	head -c -1 "$work/object"
	tail -c 1 "$work/object" | tr '\000-\377' '\001-\377\000'
} >"$object"
mkdir "$work/damaged"
cp "$mnemonic" "$work/damaged/words"
if (cd "$work/damaged" && PATH=$work/path:$PATH STORE=$(echo "$work"/backups/*/) sh -c "$by_hand") >"$work/log" 2>&1; then
	echo "a damaged backup passes" >&2
	exit 1
fi
grep -q 'FAILED' "$work/log"
echo "a damaged backup does not pass"
