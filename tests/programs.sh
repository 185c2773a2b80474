#!/bin/sh
# What the tests drive besides Python: a browser with its driver, and tmux. Installs what is missing where it can, which
# is as root with apt-get. Never fails: the tests that need what is not there are skipped and say so.
set -u

has() { command -v "$1" >/dev/null 2>&1; }

missing=""
if ! has chromedriver || ! { has chromium || has chromium-browser || has google-chrome; }; then
	missing="chromium chromium-driver"
fi
has tmux || missing="${missing:+$missing }tmux"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
	echo "not installed: $missing. The tests that need it are skipped." >&2
	exit 0
fi
echo "installing $missing for the tests" >&2
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the names are to be split
if ! { timeout 300 apt-get update && timeout 900 apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1; then
	echo "could not install $missing: $(tail -n 1 "$log") The tests that need it are skipped." >&2
fi
rm -f "$log"
