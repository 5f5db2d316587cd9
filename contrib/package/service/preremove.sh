#!/bin/sh
# Before the files go: the service stops. An upgrade is none of this.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now @UNITS@
	fi
	;;
esac
