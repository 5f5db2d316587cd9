#!/usr/bin/env bash
# Runs the demo with the public page, has a Prometheus scrape its signers and the page from the beginning, and asks it each expression
# of the dashboards of contrib/grafana: one that gives no series is about nothing that there is.
#
# usage: scripts/dashboards.sh [pictures]
#
# With pictures it also draws, of the same run, what docs/operating.md shows as normal.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/prometheus.sh
. scripts/prometheus.sh

tmp=$(mktemp -d)
pids=()
stop() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  [ ! -e .demo/pids ] || kill $(cat .demo/pids) 2>/dev/null || true
  wait
  rm -rf "$tmp"
}
trap stop EXIT
pause() { read -rt "$1" <> <(:) || true; }

url=http://127.0.0.1:$((20000 + RANDOM % 10000))
rm -f .demo/prometheus.yml
{
  until [ -s .demo/prometheus.yml ]; do pause 0.1; done
  exec "$prometheus" --config.file=.demo/prometheus.yml --storage.tsdb.path="$tmp/data" \
    --web.listen-address="${url#http://}" --log.level=error
} &
pids+=($!)
KEEP=1 make demo-watch | while IFS= read -r line; do
  printf '%s\n' "$line"
  printf '%(%s)T %s\n' -1 "$line" >>"$tmp/told"
done
(cd contrib/grafana && GOWORK=off go test . -count=1 -prometheus "$url")
[ "$*" = pictures ] || exit 0

# A minute at rest is a part of what is normal.
for _ in {1..60}; do pause 1; done
go run ./testutil/panels -prometheus "$url" \
  -instance "$(sed -n '/127\./{s/^.*- //p;q}' .demo/prometheus.yml)" \
  -from "$(sed -n '/four signers start/{s/ .*//p;q}' "$tmp/told")" \
  contrib/grafana/signer.json \
  Problems 'Vaults with both' CPU Memory 'Open records in the outbox' 'Pre-parameters and peers' \
  Height 'Since the latest verified header' <"$tmp/told" >"$tmp/normal.svg"
install -m 0644 "$tmp/normal.svg" docs/normal-churn.svg
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$tmp/chromium" \
  --window-size=1280,900 --screenshot="$tmp/page.png" "$(sed -n 's/^ *"page": "\(.*\)"$/\1/p' .demo/summary.json)" 2>"$tmp/log" ||
  { cat "$tmp/log" >&2 && exit 1; }
install -m 0644 "$tmp/page.png" docs/normal-page.png
