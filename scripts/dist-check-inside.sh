#!/bin/bash
# Runs in the container of scripts/dist-check.sh, under its systemd: the packages of bifrost and of the public page from their
# installation to their purge. The chain is not there, so that they wait for it; that they start, keep their homes and stop is
# what a package is for.
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

dpkg -i bifrost_*.deb tssbackupd_*.deb tssbackup-watch_*.deb
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
for unit in /usr/lib/systemd/system/{bifrost,bifrost-backup,bifrost-standby,tssbackupd,tssbackup-watch}.service; do
	systemd-analyze verify "$unit"
	# From 0, which can do nothing, to 100.
	systemd-analyze security --offline=true --threshold=20 "$unit" >security || {
		cat security
		exit 1
	}
done
echo BIFROST_FROM=/var/backups >/etc/bifrost-standby.conf
systemctl start bifrost-standby
answers
[[ $(systemctl is-active bifrost.service) == inactive ]]
systemctl start bifrost
answers
[[ $(systemctl is-active bifrost-standby.service) == inactive ]]
say "the second host's unit: started, and one of the two runs"
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

state=/var/lib/tssbackup-watch
# shows waits until the page is there. Without a node it says that nothing is verified yet.
shows() {
	for ((i = 0; i < 300; i++)); do
		if { exec 3<>/dev/tcp/127.0.0.1/8980; } 2>/dev/null; then
			printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
			! grep -q '^tssbackup_watch_state{state="starting"} 1' <&3 || return 0
		fi
		read -rt 0.1 <> <(:) || true
	done
	systemctl status tssbackup-watch --no-pager || true
	exit 1
}
[[ $(stat -c '%U %a' $state) == 'tssbackup-watch 700' ]]
[[ $(systemctl is-active tssbackup-watch.service) == inactive ]]
cat >/etc/tssbackup-watch.conf <<END
TSSBACKUP_WATCH_NODE=http://127.0.0.1:1,http://127.0.0.1:2
TSSBACKUP_WATCH_TRUST_HEIGHT=1
TSSBACKUP_WATCH_TRUST_HASH=$(printf '%064d' 1)
END
systemctl enable --now tssbackup-watch
shows
[[ $(stat -c %U "/proc/$(systemctl show -p MainPID --value tssbackup-watch)") == tssbackup-watch ]]
say "the public page: configured, started, it answers"
dpkg -i next/tssbackup-watch_*.deb
shows
tssbackup-watch version | grep -qx 'tssbackup-watch v0.1.1'
dpkg -P tssbackup-watch
[[ $(systemctl is-active tssbackup-watch.service) != active ]]
[[ -f $state/history.db ]]
say "the public page: upgraded, purged, what it has seen is left"
echo "all is well"
