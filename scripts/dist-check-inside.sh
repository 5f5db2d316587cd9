#!/bin/bash
# Runs in the container of scripts/dist-check.sh, under its systemd: bifrost's package from its installation to its purge. The
# chain is not there, so that bifrost waits for it; that it starts, keeps its home and stops is what a package is for.
set -euo pipefail
cd /root
home=/var/lib/bifrost
say() { echo "-- $*"; }
# answers waits until bifrost runs and answers. Its exit code tells of a problem, which the missing chain is.
answers() {
	for ((i = 0; i < 300; i++)); do
		as_bifrost bifrost status --home $home --output json >status.json 2>&1 || true
		! grep -q '"problems"' status.json || return 0
		read -rt 0.1 <> <(:) || true
	done
	cat status.json
	systemctl status bifrost --no-pager || true
	exit 1
}
as_bifrost() { setpriv --reuid=bifrost --regid=bifrost --clear-groups "$@"; }

dpkg -i bifrost_*.deb tssbackupd_*.deb
[[ $(stat -c '%U %a' $home) == 'bifrost 700' ]]
[[ $(systemctl is-enabled bifrost.service) == disabled ]]
[[ $(systemctl is-active bifrost.service) == inactive ]]
say "installed: not started before it is configured"

# The first steps, as the package prints them.
as_bifrost bifrost init --home $home --chain-id check-1 --operator cosmosvaloper1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxz90a2
install -D -m 0600 $home/mnemonic /etc/bifrost/mnemonic
systemctl enable --now bifrost
answers
say "configured, started: status answers"
systemd-analyze verify /usr/lib/systemd/system/bifrost*.service /usr/lib/systemd/system/tssbackupd.service
before=$(systemctl show -p MainPID --value bifrost)
sums=$(find $home -name mnemonic -exec sha256sum {} +)

dpkg -i next/bifrost_*.deb
answers
[[ $(systemctl show -p MainPID --value bifrost) != "$before" ]]
bifrost version | grep -qx 'bifrost v0.1.1'
say "upgraded: the new binary runs"

dpkg -r bifrost
[[ ! -e /usr/bin/bifrost ]]
[[ $(systemctl is-active bifrost.service) != active ]]
[[ -d $home ]]
say "removed: stopped, and the home is there"
dpkg -P bifrost
[[ $(find $home -name mnemonic -exec sha256sum {} +) == "$sums" ]]
[[ -n $(getent passwd bifrost) ]]
say "purged: the home and its user are as they were"

dpkg -i bifrost_*.deb
systemctl enable --now bifrost
answers
say "installed again: it starts with the home that was there"
echo "all is well"
