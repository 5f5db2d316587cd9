#!/usr/bin/env bash
# What a signer of another project gets that imports the modules without the SDK:
#
#   1. The signer of testutil/consumer, on SDK 0.53 and with its own go-tss (consumer.mod), takes
#      them, no version of its own moves, and it builds.
#   2. Somebody who has nothing else takes them: `go mod tidy` wants no replace, neither SDK nor
#      tss-lib comes along, and the oldest Go that go.mod names builds and vets it.
#   3. An operator without a clone installs the tool by the README's own lines.
#
#   scripts/consumer.sh
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=$(mktemp -d)
trap 'chmod -R u+w "$out" && rm -rf "$out"' EXIT
module=github.com/tssbackup/tssbackup
version=$(sed -n "s,^\t$module/sanity \(v[^ ]*\) .*,\1,p" go.work)
modules=$(sed -n "s,^\t\($module/[^ ]*\) v.*,\1,p" go.work | grep -v /testutil/)
oldest=go$(sed -n 's/^go //p' sanity/go.mod).0

# A proxy of files has the modules, the local cache what it has, and the proxy the rest. The cache of
# this run is its own: the next one has the same version with other content.
go run ./testutil/fileproxy "$out/proxy" "$version" >/dev/null
cache=$(go env GOMODCACHE)
GOPROXY="file://$out/proxy,file://$cache/cache/download,$(go env GOPROXY)"
export GOPROXY GOWORK=off GOFLAGS='-mod=mod -trimpath' GONOSUMDB="$module,$module/*" GOMODCACHE=$out/mod

versions() { go list -m all | sort; }
take() { for m in $modules; do printf '%s@%s\n' "$m" "$version"; done | xargs go get; }

echo "== a signer on SDK 0.53, with its own go-tss"
mkdir "$out/signer" && cd "$out/signer"
cp "$root/testutil/consumer/main.go" .
cp "$root/testutil/consumer/ceremonies.go.txt" ceremonies.go
cp "$root/testutil/consumer/consumer.mod" go.mod
cp "$root/testutil/consumer/consumer.sum" go.sum
versions >"$out/before"
sed -n '/^go \|^toolchain /p' go.mod >"$out/go"
take
go build -o "$out/consumer" .
versions >"$out/after"
if moved=$(comm -23 "$out/before" "$out/after" | grep .); then
  printf 'these are the versions of its own that moved:\n%s\n' "$moved"
  exit 1
fi
sed -n '/^go \|^toolchain /p' go.mod | diff "$out/go" - || { echo "its line of Go moved"; exit 1; }
echo "no version of its own moved; these came:"
comm -13 "$out/before" "$out/after" | sed 's/^/  /'

echo "== nothing else, on $oldest"
mkdir "$out/alone" && cd "$out/alone"
go mod init alone >/dev/null 2>&1
go mod edit -go="$(sed -n 's/^go //p' "$root/sanity/go.mod")"
{
  echo 'package alone'
  echo 'import ('
  for p in $(cd "$root" && GOWORK='' GOFLAGS='' go list ./sanity ./verenc ./bifrost/envelope ./bifrost/keyshare ./bifrost/legacy/...); do
    echo "_ \"$p\""
  done
  echo ')'
} >alone.go
take
go mod tidy
if grep -E '^replace|cosmos-sdk|cometbft|tss-lib|libp2p' go.mod; then
  echo "that is too much"
  exit 1
fi
GOTOOLCHAIN=$oldest go vet .
GOTOOLCHAIN=$oldest go list -deps . | grep "^$module" | GOTOOLCHAIN=$oldest xargs go build
sed -n '/^require/,$p' go.mod

echo "== the operator's tool without a clone"
mkdir "$out/operator" && cd "$out/operator"
install=$(awk '/^```/ { if (block ~ /go mod init tool/) printf "%s", block; block = ""; next } { block = block $0 "\n" }' "$root/README.md")
[ -n "$install" ] || { echo "README.md has no lines to install the tool"; exit 1; }
# -trimpath, so that the next run finds in the cache of builds what this one built.
GOFLAGS=-trimpath GOBIN=$out/bin bash -euxc "$install"
"$out/bin/recover-keyshares" --version
