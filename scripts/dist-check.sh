#!/usr/bin/env bash
# What `make dist` makes, tried as its users will: built twice it is the same, the packages satisfy lintian, and under a real
# systemd bifrost's is installed, started, upgraded, removed and purged, with the home as it was in the end; the .rpm's scripts run;
# the tool starts on an empty Linux; the images run without root, rights and anything to write on.
#
# usage: scripts/dist-check.sh        as root, on Debian; installs what is missing with apt-get
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
((EUID == 0)) || exec sudo --preserve-env=PATH,GOPATH,GOCACHE,GOMODCACHE "$0" "$@"

missing=()
for package in minisign:minisign mmdebstrap:mmdebstrap systemd-container:systemd-nspawn lintian:lintian rpm:rpm podman:podman runc:runc; do
	command -v "${package#*:}" >/dev/null || missing+=("${package%%:*}")
done
if ((${#missing[@]})); then
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

arch=$(dpkg --print-architecture)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
say() { printf '   %s\n' "$*"; }
fail() {
	echo "FAILED: $*" >&2
	exit 1
}

echo "-- built twice, in two folders"
minisign -G -W -p "$tmp/key.pub" -s "$tmp/key" >/dev/null
export ARCHES=$arch DARWIN=""
version() { VERSION=$1 MINISIGN_KEY=$tmp/key "$2/scripts/dist.sh" "$tmp/$3" >/dev/null; }
for clone in one two; do
	git clone -q . "$tmp/$clone"
	mkdir -p build/tools "$tmp/$clone/build" && ln -s "$PWD/build/tools" "$tmp/$clone/build/"
done
version 0.1.0 "$tmp/one" first
version 0.1.0 "$tmp/two" second
diff <(cd "$tmp/first" && sha256sum -- *.deb *.rpm *.gz *.tar *.json) <(cd "$tmp/second" && sha256sum -- *.deb *.rpm *.gz *.tar *.json) ||
	fail "two builds differ"
(cd "$tmp/first" && sha256sum --quiet -c SHA256SUMS && minisign -Vqm SHA256SUMS -p "$tmp/key.pub")
say "$(find "$tmp/first" -type f | wc -l) files, the same; their sums are signed"
version 0.1.1 "$tmp/one" next

echo "-- lintian"
lintian --allow-root --fail-on error,warning --suppress-tags "$(grep -v '^#' contrib/package/lintian-tags | paste -sd,)" "$tmp"/first/*.deb
say "no error and no warning"

echo "-- the tool on an empty Linux"
mkdir "$tmp/empty"
tar -xzf "$tmp/first/recover-keyshares_0.1.0_linux_$arch.tar.gz" -C "$tmp/empty" ./recover-keyshares
chroot "$tmp/empty" /recover-keyshares version | grep -qx 'recover-keyshares v0.1.0' || fail "it does not start"
say "$(stat -c %s "$tmp/empty/recover-keyshares") bytes, static"

echo "-- the .deb under systemd"
root=$tmp/root
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$root" >/dev/null
cp "$tmp"/first/bifrost_*.deb "$tmp"/first/tssbackupd_*.deb "$root/root/"
mkdir "$root/root/next" && cp "$tmp"/next/bifrost_*.deb "$root/root/next/"
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
mkdir -p "$tmp/rpm"
cp -a "$root" "$tmp/rpm/root"
rm -rf "$tmp/rpm/root/var/lib/bifrost"
mount --bind /proc "$tmp/rpm/root/proc" # which systemd-tmpfiles needs
trap 'umount "$tmp/rpm/root/proc"; rm -rf "$tmp"' EXIT
for step in "-ivh first" "-Uvh next" "-e"; do
	read -r flag from <<<"$step"
	case $flag in
	-e) rpm --root "$tmp/rpm/root" --nodeps -e bifrost >/dev/null 2>&1 ;;
	*)
		[[ -d $tmp/rpm/root/var/lib/rpm ]] || rpm --root "$tmp/rpm/root" --initdb
		rpm --root "$tmp/rpm/root" --nodeps --nosignature "$flag" "$tmp/$from"/bifrost-*.rpm >/dev/null 2>&1
		"$tmp/rpm/root/usr/bin/bifrost" version | grep -q "v$([[ $from == first ]] && echo 0.1.0 || echo 0.1.1)"
		;;
	esac
done
[[ ! -e $tmp/rpm/root/usr/bin/bifrost && -d $tmp/rpm/root/var/lib/bifrost ]] || fail "rpm -e left the wrong things"
say "installed, upgraded, removed; the home stays"

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
podman rmi -f localhost/bifrost:v0.1.0 localhost/recover-keyshares:v0.1.0 localhost/tssbackupd:v0.1.0 localhost/tssbackup-watch:v0.1.0 >/dev/null
say "bifrost writes into its volume, and nowhere else"
echo "-- done"
