#!/usr/bin/env bash
# Runs the alerts of contrib/prometheus on the series of alerts_test.yml, with promtool: from the
# PATH, or else from Debian's package, which is unpacked into build/tools and not installed.
#
#   scripts/alerts.sh
set -euo pipefail
cd "$(dirname "$0")/.."

promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
  tools=$PWD/build/tools/prometheus
  promtool=$tools/usr/bin/promtool
  if [ ! -x "$promtool" ]; then
    mkdir -p "$tools"
    (
      cd "$tools"
      apt-get download -qq prometheus || {
        as_root=()
        [ "$EUID" -eq 0 ] || as_root=(sudo)
        "${as_root[@]}" apt-get update -qq
        apt-get download -qq prometheus
      }
      dpkg -x prometheus_*.deb .
    )
  fi
fi
"$promtool" check rules contrib/prometheus/alerts.yml
"$promtool" test rules contrib/prometheus/alerts_test.yml
