#!/bin/sh
# After the files are there: the user, its folder, and a service that ran before runs the new binary.
# dpkg says "configure" and the version before, rpm how many versions are installed.
set -e
systemd-sysusers @NAME@.conf
systemd-tmpfiles --create @NAME@.conf
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	case "$1:$2" in
	configure:?* | 2:*) systemctl try-restart @SERVICES@ ;;
	esac
fi
case "$1:$2" in
configure: | 1:*) cat /usr/share/@NAME@/first-steps ;;
esac
