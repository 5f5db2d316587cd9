#!/bin/sh
# After the files are there: what to do first, once.
# dpkg says "configure" and the version before, rpm how many versions are installed.
set -e
case "$1:$2" in
configure: | 1:*) cat /usr/share/@NAME@/first-steps ;;
esac
