#!/usr/bin/env bash
# Builds what is shipped, byte for byte the same from the same commit:
#
#   recover-keyshares_VERSION_OS_ARCH.tar.gz         the operator's tool, for linux and darwin
#   NAME_VERSION_ARCH.deb, NAME-VERSION-1.ARCH.rpm   each binary with units, manual pages and completions, for linux
#   NAME_VERSION_linux_ARCH.oci.tar                  each binary as an image (OCI layout)
#   NAME_VERSION_linux_ARCH.cdx.json                 what each binary is made of (CycloneDX)
#   SHA256SUMS, and SHA256SUMS.minisig by the key that MINISIGN_KEY names
#
# usage: scripts/dist.sh FOLDER        ARCHES="amd64 arm64" DARWIN="amd64 arm64" by default, and all NAMES
#
# VERSION is that of the tag, or 0.0.0 and the commit's time and name. Tools are installed into build/tools.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "$1")
root=$PWD
tools=$root/build/tools
read -ra names <<<"${NAMES-recover-keyshares bifrost tssbackupd tssbackup-watch}"
read -ra arches <<<"${ARCHES-amd64 arm64}"
read -ra darwins <<<"${DARWIN-amd64 arm64}"

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export TZ=UTC LC_ALL=C CGO_ENABLED=0
tag=$(git describe --tags --exact-match --match 'v*' 2>/dev/null || true)
: "${VERSION:=${tag:-0.0.0-$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(git rev-parse --short=12 HEAD)}}"
VERSION=${VERSION#v}
export VERSION

tool() { # name module@version
	[[ -x $tools/$1 ]] || GOWORK=off GOFLAGS= GOBIN=$tools go install "$2"
}
# Later versions of nfpm need a host that not every network has.
tool nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
tool cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
(cd contrib/image && GOWORK=off go build -o "$tools/image" .)

[[ ! -e $out ]] || {
	echo "$out is there already: remove it, or name another folder" >&2
	exit 2
}
stage=$(mktemp -d)
trap 'chmod -R u+w "$stage"; rm -rf "$stage"' EXIT
mkdir -p "$out"

ldflags="-s -w -buildid= -X main.version=v$VERSION
	-X github.com/cosmos/cosmos-sdk/version.Name=tssbackup
	-X github.com/cosmos/cosmos-sdk/version.AppName=tssbackupd
	-X github.com/cosmos/cosmos-sdk/version.Version=v$VERSION"
build() { # os arch name
	GOOS=$1 GOARCH=$2 go build -trimpath -buildvcs=false -tags grpcnotrace -ldflags "$ldflags" -o "$stage/$1-$2/$3" "./cmd/$3"
}
archive() { # folder below the stage, file: each file of it, in one order, with one time and one owner
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$stage/$1" -c . | gzip -9n >"$out/$2"
}

# pages and completions are the same everywhere: they come from the binary of this machine.
pages() { # name folder
	local name=$1 dir=$2 run=$stage/host/$1 page
	[[ -x $run ]] || go build -trimpath -buildvcs=false -tags grpcnotrace -ldflags "$ldflags" -o "$run" "./cmd/$name"
	mkdir -p "$dir"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,doc/"$name"}
	HOME=$stage "$run" completion bash >"$dir/usr/share/bash-completion/completions/$name"
	HOME=$stage "$run" completion zsh >"$dir/usr/share/zsh/vendor-completions/_$name"
	HOME=$stage "$run" completion fish >"$dir/usr/share/fish/vendor_completions.d/$name.fish"
	for page in docs/man/"$name".1 docs/man/"$name"-*.1; do
		[[ -f $page ]] || continue
		mkdir -p "$dir/usr/share/man/man1"
		gzip -9nc "$page" >"$dir/usr/share/man/man1/$(basename "$page").gz"
	done
	gzip -9nc CHANGELOG.md >"$dir/usr/share/doc/$name/CHANGELOG.md.gz"
	# The two files that Debian's policy asks for.
	gzip -9nc >"$dir/usr/share/doc/$name/changelog.gz" <<-END
		$name (${VERSION/-/\~}) unstable; urgency=medium

		  * CHANGELOG.md.gz tells what changed.

		 -- The tssbackup authors <tssbackup@users.noreply.github.com>  $(date -R -d "@$SOURCE_DATE_EPOCH")
	END
	cat >"$dir/usr/share/doc/$name/copyright" <<-END
		Copyright 2026 The tssbackup authors

		License: Apache-2.0, which is in /usr/share/common-licenses/Apache-2.0 on Debian systems,
		and at https://www.apache.org/licenses/LICENSE-2.0.
	END
}

# layout makes the tree of a package: what it has beside the binary.
layout() { # name folder
	local name=$1 dir=$2 package=contrib/package kind=tool unit script units=() services=()
	pages "$name" "$dir"
	# Not below doc, which some images leave out.
	install -D "$package/first-steps/$name" "$dir/usr/share/$name/first-steps"
	if [[ -f $package/sysusers/$name.conf ]]; then
		kind=service
		mkdir -p "$dir"/usr/lib/{systemd/system,sysusers.d,tmpfiles.d}
		cp "$package/sysusers/$name.conf" "$dir/usr/lib/sysusers.d/"
		cp "$package/tmpfiles/$name.conf" "$dir/usr/lib/tmpfiles.d/"
	fi
	for unit in contrib/systemd/"$name".* contrib/systemd/"$name"-*; do
		[[ -f $unit ]] || continue
		cp "$unit" "$dir/usr/lib/systemd/system/"
		grep -qx '\[Install\]' "$unit" || continue # a timer starts it
		units+=("$(basename "$unit")")
		[[ $unit != *.service ]] || services+=("$(basename "$unit")")
	done
	mkdir -p "$stage/packages/scripts/$name"
	for script in "$package/$kind"/*.sh; do
		sed "s/@NAME@/$name/g; s/@UNITS@/${units[*]}/g; s/@SERVICES@/${services[*]}/g" "$script" >"$stage/packages/scripts/$name/$(basename "$script")"
	done
}

for name in "${names[@]}"; do
	layout "$name" "$stage/packages/$name"
done
for arch in "${arches[@]}"; do
	for name in "${names[@]}"; do
		build linux "$arch" "$name"
		"$tools/cyclonedx-gomod" bin -json -noserial -notimestamp -version "v$VERSION" \
			-output "$out/${name}_${VERSION}_linux_$arch.cdx.json" "$stage/linux-$arch/$name" 2>"$stage/log" || {
			cat "$stage/log" >&2
			exit 1
		}
		install -D -m 0755 "$stage/linux-$arch/$name" "$stage/packages/$name/usr/bin/$name"
		find "$stage/packages/$name" -type d -exec chmod 0755 {} + -o -type f ! -path '*/bin/*' -exec chmod 0644 {} +
		find "$stage/packages/$name" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
		for packager in deb rpm; do
			(cd "$stage/packages" && ARCH=$arch "$tools/nfpm" package --config "$root/contrib/package/$name.yaml" \
				--packager "$packager" --target "$out/" >"$stage/log") || {
				cat "$stage/log" >&2
				exit 1
			}
		done
		"$tools/image" -binary "$stage/linux-$arch/$name" -arch "$arch" -version "v$VERSION" \
			-out "$out/${name}_${VERSION}_linux_$arch.oci.tar"
	done
done
tool_archive() { # os arch
	local dir=$stage/archive-$1-$2
	[[ -f $stage/$1-$2/recover-keyshares ]] || build "$1" "$2" recover-keyshares
	mkdir -p "$dir/completions" "$dir/man"
	install -m 0755 "$stage/$1-$2/recover-keyshares" "$dir/"
	install -m 0644 LICENSE docs/runbook.md "$dir/"
	install -m 0644 docs/man/recover-keyshares*.1 "$dir/man/"
	local share=$stage/packages/recover-keyshares/usr/share
	install -m 0644 "$share"/bash-completion/completions/* "$share"/zsh/vendor-completions/* \
		"$share"/fish/vendor_completions.d/* "$dir/completions/"
	archive "archive-$1-$2" "recover-keyshares_${VERSION}_$1_$2.tar.gz"
}
if [[ " ${names[*]} " == *" recover-keyshares "* ]]; then
	for arch in "${arches[@]}"; do tool_archive linux "$arch"; done
	for arch in "${darwins[@]}"; do tool_archive darwin "$arch"; done
fi

cd "$out"
sha256sum -- * >"$stage/sums" && mv "$stage/sums" SHA256SUMS && chmod 0644 SHA256SUMS
if [[ -n ${MINISIGN_KEY:-} ]]; then
	minisign -S -s "$MINISIGN_KEY" -m SHA256SUMS -t "tssbackup v$VERSION"
fi
ls -l
