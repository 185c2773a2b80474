#!/bin/sh
# METRIC lines on stdin, one JSON object on stdout: ./autoresearch.sh 2>&1 | parse-metrics.sh
#
# A line `METRIC name=number` gives a value, the last one for a name wins; what says METRIC and does not parse is
# reported on stderr. Carriage returns and terminal escapes are no obstacle. Needs a POSIX shell and awk alone;
# where autoresearch-tui is installed it does the same.
set -u

if [ "$#" -gt 0 ]; then
    echo "parse-metrics.sh: it takes no arguments: METRIC lines come on stdin." >&2
    exit 2
fi
unread() {
    echo "parse-metrics.sh: stdin can't be read: METRIC lines come on it." >&2
    exit 2
}

(: 5<&0) 2>/dev/null || unread
if autoresearch-tui metrics --help </dev/null >/dev/null 2>&1; then
    exec autoresearch-tui metrics
fi

here=$(dirname -- "$0")
export LC_ALL=C
# cut keeps one byte more than the longest line that counts, so that nothing longer is ever held.
exec 4>&1
failed=$({
    { tr '\r\000' '\n\001' 2>/dev/null || echo tr >&3; } |
        cut -b 1-4097 | awk -f "$here/values.awk" -f "$here/metrics.awk" >&4
} 3>&1) || exit
[ -z "$failed" ] || unread
