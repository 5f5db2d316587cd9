#!/usr/bin/env bash
# Gets axe-core, which looks at a page as somebody would who cannot see it or has no mouse.
#
#   scripts/axe.sh FILE
#
# The version is pinned, and so are its bytes.
set -euo pipefail
target=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd "$dir" && npm pack --silent axe-core@4.14.1 >/dev/null && tar xzf axe-core-4.14.1.tgz package/axe.min.js)
echo "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c  $dir/package/axe.min.js" | sha256sum --check --quiet
mkdir -p "$(dirname "$target")"
mv "$dir/package/axe.min.js" "$target"
