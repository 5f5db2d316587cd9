#!/usr/bin/env bash
# What `make dist` makes, tried as its users will: built twice it is the same, the packages satisfy lintian, and under a real
# systemd the services are installed, started, upgraded, removed and purged, with the homes as they were in the end; without
# one, the .rpm's scripts do the same; the tool starts on an empty Linux; the images run without root, rights and anything to
# write on, also as a network of them that makes vaults; the chart's pods run; and a new user gets from the tool's package to
# keyshares by what is printed.
#
# usage: scripts/dist-check.sh [quick]        as root, on Debian; installs what is missing with apt-get
#
# With quick, two of the packages are built once for this machine and looked at, and nothing is run but the tool.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
((EUID == 0)) || exec sudo --preserve-env=PATH,GOPATH,GOCACHE,GOMODCACHE "$0" "$@"

case "$*" in
'') needed=(jq:jq minisign:minisign lintian:lintian expect:expect mmdebstrap:mmdebstrap systemd-container:systemd-nspawn rpm:rpm
	podman:podman runc:runc docker-compose:docker-compose qemu-user-static:qemu-aarch64-static) ;;
quick) needed=(jq:jq minisign:minisign lintian:lintian) ;;
*)
	echo "usage: scripts/dist-check.sh [quick]" >&2
	exit 2
	;;
esac
missing=()
for package in "${needed[@]}"; do
	command -v "${package#*:}" >/dev/null || missing+=("${package%%:*}")
done
if ((${#missing[@]})); then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

arch=$(dpkg --print-architecture)
tmp=$(mktemp -d)
proc=
clean() {
	[[ ! -f $tmp/one/.demo/pids ]] || xargs -r kill <"$tmp/one/.demo/pids" 2>/dev/null || true
	[[ -z $proc ]] || umount "$proc"
	rm -rf "$tmp"
}
trap clean EXIT
say() { printf '   %s\n' "$*"; }
fail() {
	echo "FAILED: $*" >&2
	exit 1
}

minisign -G -W -p "$tmp/key.pub" -s "$tmp/key" >/dev/null
version() { VERSION=$1 MINISIGN_KEY=$tmp/key "$2/scripts/dist.sh" "$tmp/$3" >/dev/null; }
mkdir -p build/tools
for clone in one two; do
	git clone -q . "$tmp/$clone"
	mkdir "$tmp/$clone/build" && ln -s "$PWD/build/tools" "$tmp/$clone/build/"
done
if [[ $* == quick ]]; then
	echo "-- built"
	NAMES="recover-keyshares tssbackup-watch" ARCHES=$arch DARWIN="" version 0.1.0 "$tmp/one" first
else
	echo "-- built twice, in two folders"
	version 0.1.0 "$tmp/one" first
	version 0.1.0 "$tmp/two" second
	diff <(cd "$tmp/first" && sha256sum -- *.deb *.rpm *.gz *.tar *.json) <(cd "$tmp/second" && sha256sum -- *.deb *.rpm *.gz *.tar *.json) ||
		fail "two builds differ"
	NAMES="bifrost tssbackup-watch" ARCHES=$arch DARWIN="" version 0.1.1 "$tmp/one" next
fi
(cd "$tmp/first" && sha256sum --quiet -c SHA256SUMS && minisign -Vqm SHA256SUMS -p "$tmp/key.pub")
say "$(find "$tmp/first" -type f | wc -l) files; their sums are signed"

echo "-- what is in them"
# header is what a system looks at before it runs a program: its form, and the processor that it is for.
header() {
	case $(od -An -tx1 -N4 "$1" | tr -d ' ') in
	7f454c46) od -An -tx1 -j18 -N2 "$1" | tr -d ' ' ;;
	cffaedfe) od -An -tx1 -j4 -N4 "$1" | tr -d ' ' ;;
	esac
}
declare -A headers=([linux_amd64]=3e00 [linux_arm64]=b700 [darwin_amd64]=07000001 [darwin_arm64]=0c000001)
files=$(cd docs/man && printf './man/%s\n' recover-keyshares*.1)
files=$(printf '%s\n' ./LICENSE ./recover-keyshares ./runbook.md ./completions/{_recover-keyshares,recover-keyshares,recover-keyshares.fish} "$files")
for archive in "$tmp"/first/*.tar.gz; do
	system=${archive##*/recover-keyshares_0.1.0_} && system=${system%.tar.gz}
	mkdir "$tmp/$system" && tar -xzf "$archive" -C "$tmp/$system"
	diff <(LC_ALL=C sort <<<"$files") <(cd "$tmp/$system" && find . -type f | LC_ALL=C sort) || fail "$archive holds other files"
	[[ $(header "$tmp/$system/recover-keyshares") == "${headers[$system]}" ]] || fail "$archive is for another system"
	# More means that something calls methods by names again, and the linker leaves every method in.
	(($(stat -c %s "$tmp/$system/recover-keyshares") < 40000000)) || fail "the tool for $system has 40 MB"
	say "recover-keyshares for $system, $(stat -c %s "$tmp/$system/recover-keyshares") bytes, $(stat -c %s "$archive") in its archive"
done
for package in "$tmp"/first/*.deb; do
	name=$(dpkg-deb -f "$package" Package) of=$(dpkg-deb -f "$package" Architecture)
	dir=$tmp/deb/${package##*/}
	mkdir -p "$dir" && dpkg-deb -R "$package" "$dir"
	[[ $(header "$dir/usr/bin/$name") == "${headers[linux_$of]}" ]] || fail "$package is for another system"
	! dpkg-deb -c "$package" | awk '$2 != "root/root" || $1 ~ /^-rw.r?[wx]|^-.*[st]/ {print; found = 1} END {exit !found}' ||
		fail "$package has files with other owners or modes"
	[[ -z $(find "$dir" -mindepth 1 -maxdepth 1 ! -name usr ! -name DEBIAN) ]] || fail "$package has files outside of /usr"
	for file in "usr/share/$name/first-steps" "usr/share/doc/$name/copyright"; do
		[[ -s $dir/$file ]] || fail "$package has no $file"
	done
	for script in "$dir"/DEBIAN/p*; do sh -n "$script"; done
	# bom is what the binary is made of, by its own word.
	bom=$tmp/first/${name}_0.1.0_linux_$of.cdx.json
	jq -e --arg name "$name" '.bomFormat == "CycloneDX" and .metadata.component.version == "v0.1.0" and
		([.components[] | select(.name == "github.com/cosmos/cosmos-sdk" and .version != "")] | length == 1) and
		([.components[] | select((.hashes | length) == 0 and (.name | startswith("github.com/tssbackup/") | not))] | length == 0)' \
		"$bom" >/dev/null || fail "$bom"
done
say "packages and what they are made of"

echo "-- lintian"
lintian --allow-root --fail-on error,warning --suppress-tags "$(grep -v '^#' contrib/package/lintian-tags | paste -sd,)" "$tmp"/first/*_"$arch".deb
say "no error and no warning"

echo "-- the tool on an empty Linux"
mkdir "$tmp/empty"
cp "$tmp/linux_$arch/recover-keyshares" "$tmp/empty/"
chroot "$tmp/empty" /recover-keyshares version | grep -qx 'recover-keyshares v0.1.0' || fail "it does not start"
say "static"
if [[ $* == quick ]]; then
	echo "-- done"
	exit
fi
qemu-aarch64-static "$tmp/linux_arm64/recover-keyshares" version | grep -qx 'recover-keyshares v0.1.0' || fail "it does not start on arm64"
say "on arm64 too"

echo "-- the .deb under systemd"
root=$tmp/root
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$root" >/dev/null
cp -a "$root" "$tmp/fresh"
cp "$tmp"/first/{bifrost,tssbackupd,tssbackup-watch}_*_"$arch".deb "$root/root/"
mkdir "$root/root/next" && cp "$tmp"/next/{bifrost,tssbackup-watch}_*.deb "$root/root/next/"
cp scripts/dist-check-inside.sh "$root/root/inside.sh"
cat >"$root/etc/systemd/system/inside.service" <<UNIT
[Unit]
SuccessAction=exit
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
StandardOutput=file:/root/log
StandardError=file:/root/log
[Install]
WantedBy=multi-user.target
UNIT
ln -s ../inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service" 2>/dev/null || {
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s ../inside.service "$root/etc/systemd/system/multi-user.target.wants/inside.service"
}
systemd-nspawn -q -D "$root" --boot --register=no --keep-unit --private-network </dev/null >"$tmp/boot" 2>&1 || true
grep -qx 'all is well' "$root/root/log" || {
	cat "$root/root/log"
	fail "inside the container"
}
sed 's/^/   /' "$root/root/log" | grep -- '-- '

echo "-- the .rpm"
cp -a "$tmp/fresh" "$tmp/rpm"
mount --bind /proc "$tmp/rpm/proc" # which systemd-tmpfiles needs
proc=$tmp/rpm/proc
rpms() {
	rpm --root "$tmp/rpm" "$@" >"$tmp/said" 2>&1 || {
		cat "$tmp/said"
		fail "rpm $*"
	}
}
rpms --initdb
for name in bifrost tssbackup-watch; do
	home=$tmp/rpm/var/lib/$name
	rpms --nodeps --nosignature -ivh "$tmp/first/$name"-*."$(uname -m)".rpm
	grep -q "^$name is installed" "$tmp/said" || fail "$name.rpm prints no first steps"
	[[ $(chroot "$tmp/rpm" stat -c '%U %a' "/var/lib/$name") == "$name 700" ]] || fail "$name.rpm makes no home"
	touch "$home/kept"
	rpms --nodeps --nosignature -Uvh "$tmp/next/$name"-*."$(uname -m)".rpm
	[[ $(chroot "$tmp/rpm" "/usr/bin/$name" version) == "$name v0.1.1" ]] || fail "$name.rpm is not upgraded"
	rpms --nodeps -e "$name"
	[[ ! -e $tmp/rpm/usr/bin/$name && -f $home/kept ]] || fail "rpm -e $name left the wrong things"
	say "$name: installed, upgraded, removed; the home stays"
done
umount "$proc"
proc=

echo "-- the images"
run() { # image, then its arguments
	podman --runtime=runc --events-backend=file run --rm --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 \
		--network=host --read-only --cap-drop=all --security-opt=no-new-privileges --pids-limit=100 "$@"
}
for name in bifrost recover-keyshares tssbackupd tssbackup-watch; do
	podman load -q -i "$tmp/first/${name}_0.1.0_linux_$arch.oci.tar" >/dev/null
	image=localhost/$name:v0.1.0
	[[ $(podman image inspect --format '{{.User}}' "$image") == 65532:65532 ]] || fail "$name runs as root"
	run "$image" version 2>&1 | grep -q 'v0.1.0' || fail "$name does not run"
	say "$image"
done
run localhost/bifrost:v0.1.0 init --chain-id check-1 \
	--operator cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2 >/dev/null 2>&1 || fail "bifrost cannot write its home"
say "bifrost writes into its volume, and nowhere else"

echo "-- a network of containers, through a keygen"
make build >/dev/null
scripts/containers.sh v0.1.0 >"$tmp/containers" 2>&1 || {
	cat "$tmp/containers"
	fail "a network of containers"
}
grep -E '^Verdict|^   another keygen' "$tmp/containers" | sed 's/^ *//; s/^/   /'
echo "-- the chart's pods, as containers"
make "$PWD/build/tools/helm" >/dev/null
go test -tags chart -count=1 -timeout 10m -run '^TestRenderedPodsRunInContainers$' ./cmd/bifrost -helm "$PWD/build/tools/helm" \
	-images v0.1.0 -genesis "$PWD/.demo/validator0/config/genesis.json"
podman rmi -f localhost/bifrost:v0.1.0 localhost/recover-keyshares:v0.1.0 localhost/tssbackupd:v0.1.0 localhost/tssbackup-watch:v0.1.0 >/dev/null

echo "-- a new user, in a fresh container, on the demo's network"
# As Debian's images do, which leave the documentation out.
echo 'path-exclude=/usr/share/doc/*' >"$tmp/fresh/etc/dpkg/dpkg.cfg.d/docs"
cp "$tmp"/first/recover-keyshares_*_"$arch".deb "$tmp/fresh/root/"
(cd "$tmp/one" && KEEP=1 make -s demo) >"$tmp/demo" 2>&1 || {
	cat "$tmp/demo"
	fail "the demo"
}
known() { sed -n "s/.*\"$1\": \"\(.*\)\",/\1/p" "$tmp/one/.demo/summary.json"; }
mapfile -t nodes < <(known rpc)
log=build/fresh-user.log
scripts/fresh-user.exp "$tmp/fresh" "$(basename "$tmp"/first/recover-keyshares_*_"$arch".deb)" "${nodes[1]}" "${nodes[2]}" \
	"$(known mnemonic_file | head -1)" </dev/null >"$log" 2>&1 || {
	cat "$log"
	fail "the new user is stuck"
}
say "$(tail -1 "$log"), as $log shows"
echo "-- done"
