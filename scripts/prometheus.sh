# Sourced by scripts that need Prometheus: promtool and prometheus from the PATH, or else from Debian's package, which is
# unpacked into build/tools and not installed.

promtool=$(command -v promtool || true)
prometheus=$(command -v prometheus || true)
if [ -z "$promtool" ] || [ -z "$prometheus" ]; then
  tools=$PWD/build/tools/prometheus
  promtool=$tools/usr/bin/promtool
  prometheus=$tools/usr/bin/prometheus
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
