#!/usr/bin/env bash
# go mod tidy in every module of go.work.
#
#   scripts/modules.sh
#
# go mod tidy knows no workspace, and the modules require each other in a version that is not
# published yet: they come from a proxy of files. go.sum holds no hashes of them, because in the
# workspace they are what lies there.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'chmod -R u+w "$out" && rm -rf "$out"' EXIT
version=$(sed -n 's,^\tgithub.com/tssbackup/tssbackup/sanity \(v[^ ]*\) .*,\1,p' go.work)
go run ./testutil/fileproxy "$out/proxy" "$version"
cache=$(go env GOMODCACHE)/cache/download
export GOWORK=off GOFLAGS=-mod=mod GONOSUMDB='github.com/tssbackup/*' GOMODCACHE=$out/mod
export GOPROXY="file://$out/proxy,file://$cache,$(go env GOPROXY)"
for module in $(sed -n 's,^\t\(\.[^ ]*\)$,\1,p' go.work); do
  echo "== $module"
  (cd "$module" && go mod tidy)
  if [ -e "$module/go.sum" ]; then sed -i '/^github\.com\/tssbackup\//d' "$module/go.sum"; fi
done
