#!/usr/bin/env bash
# Generates the Go code of proto/ and lints it, offline: what the protos import
# is copied out of the module cache at the versions that go.mod names.
#
#   scripts/proto.sh gen    generate into x/tssbackup/types and x/tssbackup/openapi
#   scripts/proto.sh lint   buf lint
set -euo pipefail
cd "$(dirname "$0")/.."

deps=build/proto
rm -rf "$deps"
mkdir -p "$deps"
import() { # import MODULE FOLDER-IN-MODULE NAME: the .proto files of a module
  local dir
  dir=$(go mod download -json "$1@$(go list -m -f '{{.Version}}' "$1")" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  mkdir -p "$deps/$3"
  (cd "$dir/$2" && find . -name '*.proto' -not -path '*/test*' -print0 | tar --null -cT - -f -) | tar -x --no-same-permissions -C "$deps/$3"
  chmod -R u+w "$deps/$3"
}
import github.com/cosmos/cosmos-sdk proto cosmos-sdk
import github.com/cosmos/cosmos-proto proto cosmos-proto
import github.com/cosmos/gogoproto gogoproto gogoproto/gogoproto
import github.com/grpc-ecosystem/grpc-gateway third_party/googleapis googleapis

tools=$PWD/build/tools
mkdir -p "$tools"
export GOBIN=$tools PATH=$tools:$PATH
[ -x "$tools/buf" ] || go install github.com/bufbuild/buf/cmd/buf@v1.73.0
case ${1:-} in
  lint)
    buf lint --path proto/tssbackup
    ;;
  gen)
    [ -x "$tools/protoc-gen-gocosmos" ] || go install github.com/cosmos/gogoproto/protoc-gen-gocosmos@v1.7.2
    [ -x "$tools/protoc-gen-grpc-gateway" ] || go install github.com/grpc-ecosystem/grpc-gateway/protoc-gen-grpc-gateway@v1.16.0
    [ -x "$tools/protoc-gen-swagger" ] || go install github.com/grpc-ecosystem/grpc-gateway/protoc-gen-swagger@v1.16.0
    buf generate --path proto/tssbackup
    buf generate --template buf.gen.openapi.yaml --path proto/tssbackup/v1
    # The plugins write by import path; the module's own root is the repository.
    cp -r build/gen/github.com/tssbackup/tssbackup/. .
    cp build/gen/openapi/tssbackup.swagger.json x/tssbackup/openapi/
    rm -rf build/gen
    ;;
  *)
    echo "usage: scripts/proto.sh gen|lint" >&2
    exit 2
    ;;
esac
