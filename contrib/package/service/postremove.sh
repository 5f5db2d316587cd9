#!/bin/sh
# After the files are gone. The home stays, also when everything else is purged: of a signer, keyshares are in it that
# nobody can make again. So its user stays too.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
case "$1" in
purge | 0)
	if [ -d /var/lib/@NAME@ ]; then
		echo "/var/lib/@NAME@ and the user @NAME@ are left as they are"
	fi
	;;
esac
