#!/usr/bin/env bash
# Takes the pictures of docs/ anew, with the test that looks at the public page and with the demo, and makes them small.
#
# usage: scripts/pictures.sh        installs what is missing with apt-get
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in pngquant optipng; do
	command -v "$tool" >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$tool" >/dev/null; }
done
make test-page PICTURES=-write-pictures
scripts/dashboards.sh pictures
for picture in docs/watch-*.png docs/normal-*.png; do
	pngquant --quality 70-95 --speed 1 --strip --force --output "$picture" "$picture"
done
optipng -quiet -o4 docs/watch-*.png docs/normal-*.png
chmod 0644 docs/watch-*.png docs/normal-*.png
ls -l docs/watch-*.png docs/normal-*
