#!/usr/bin/env bash
# Runs the alerts of contrib/prometheus on the series of alerts_test.yml, with promtool, and reads the dashboards of
# contrib/grafana as Grafana does.
#
#   scripts/alerts.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/prometheus.sh
. scripts/prometheus.sh

"$promtool" check rules contrib/prometheus/alerts.yml
"$promtool" test rules contrib/prometheus/alerts_test.yml
(cd contrib/grafana && GOWORK=off go test .)
