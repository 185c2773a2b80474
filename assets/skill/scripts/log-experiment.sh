#!/bin/sh
# Append one experiment to the ledger, autoresearch.jsonl, and print the line that was written:
#
#   log-experiment.sh --metric 0.9932 --status keep --description "raise the LR to 0.05" \
#       [--run N] [--commit SHA] [--metrics JSON] [--segment N] [--asi JSON] [--dir DIR]
#
#   --metric       the primary metric, a finite number, or null for a run that gave none
#   --status       keep, discard, crash or checks_failed
#   --description  what was tried, in a few words
#   --run          only a check: refused unless it is the next number, which is given out anyway
#   --commit       the experiment's commit, as git rev-parse --short HEAD prints it
#   --metrics      all other figures, a JSON object of numbers (parse-metrics.sh prints one)
#   --segment      only a check: refused unless it is the current one
#   --asi          what was learned, a JSON object: hypothesis, arch_change, result, next_action_hint, and what you like
#   --dir          the directory of autoresearch.jsonl (default: the current one)
#
# Or begin a segment, whose runs are comparable with each other, by its config line:
#
#   log-experiment.sh --config [--name TEXT] [--metric-name NAME] [--metric-unit TEXT] [--direction lower|higher]
#
# Exit status: 0 written; 1 it could not be written, and the ledger is as it was; 2 wrong arguments, nothing written.
# Needs a POSIX shell and awk alone; where autoresearch-tui is installed it does the same. See values.awk, ledger.awk.
set -u

if autoresearch-tui log --config --help </dev/null >/dev/null 2>&1; then
    exec autoresearch-tui log "$@"
fi

here=$(dirname -- "$0")
export LC_ALL=C

fail() { # fail STATUS SENTENCE
    printf '%s\n' "log-experiment.sh: $2" >&2
    exit "$1"
}

LOG_GIVEN='' LOG_RUN='' LOG_COMMIT='' LOG_METRIC='' LOG_STATUS='' LOG_DESCRIPTION='' LOG_METRICS='' LOG_SEGMENT=''
LOG_ASI='' LOG_NAME='' LOG_METRIC_NAME='' LOG_METRIC_UNIT='' LOG_DIRECTION='' LOG_NOW='' LOG_ID=''
dir=.
while [ "$#" -gt 0 ]; do
    option=$1 value='' has_value=''
    shift
    case $option in
    --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --config)
        LOG_GIVEN="$LOG_GIVEN config"
        continue
        ;;
    --*=*)
        value=${option#*=} has_value=1
        option=${option%%=*}
        ;;
    -*)
        if [ "$#" -gt 0 ]; then
            value=$1 has_value=1
            shift
        fi
        ;;
    *) fail 2 "Got unexpected extra argument ($option)" ;;
    esac
    case $option in
    --run) LOG_RUN=$value ;;
    --commit) LOG_COMMIT=$value ;;
    --metric) LOG_METRIC=$value ;;
    --status) LOG_STATUS=$value ;;
    --description) LOG_DESCRIPTION=$value ;;
    --metrics) LOG_METRICS=$value ;;
    --segment) LOG_SEGMENT=$value ;;
    --asi) LOG_ASI=$value ;;
    --name) LOG_NAME=$value ;;
    --metric-name) LOG_METRIC_NAME=$value ;;
    --metric-unit) LOG_METRIC_UNIT=$value ;;
    --direction) LOG_DIRECTION=$value ;;
    --dir) dir=$value ;;
    *) fail 2 "No such option '$option'." ;;
    esac
    [ -n "$has_value" ] || fail 2 "Option '$option' requires an argument."
    LOG_GIVEN="$LOG_GIVEN ${option#--}"
done
export LOG_GIVEN LOG_RUN LOG_COMMIT LOG_METRIC LOG_STATUS LOG_DESCRIPTION LOG_METRICS LOG_SEGMENT LOG_ASI
export LOG_NAME LOG_METRIC_NAME LOG_METRIC_UNIT LOG_DIRECTION LOG_NOW LOG_ID

ledger=$dir/autoresearch.jsonl
state=$dir/.autoresearch
lock=$state/autoresearch.jsonl.lock
draft=$state/log-experiment.$$
held=''

compose() { # what is to be written, in $said; refuses what may not be
    said=$({ [ ! -f "$ledger" ] || tr '\000' '\001' <"$ledger"; } | awk -f "$here/values.awk" -f "$here/ledger.awk")
    case $? in
    0) ;;
    2) fail 2 "$said" ;;
    *) fail 1 "$ledger can't be read, or there is no awk." ;;
    esac
}

take_lock() { # the engine's writers take the same one by flock
    tries=0
    (: >>"$lock") 2>/dev/null || fail 1 "$lock can't be written."
    if command -v flock >/dev/null 2>&1; then
        exec 9>>"$lock"
        until flock -n 9; do wait_for "end that one"; done
    else
        until mkdir "$lock.d" 2>/dev/null; do wait_for "end that one, or remove $lock.d where there is none"; done
        held=$lock.d
    fi
}

wait_for() {
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail 1 "another program has been writing $ledger for 20 s: $1."
    sleep 0.1 2>/dev/null || sleep 1
}

bytes_of() { # bytes_of FILE
    if [ -f "$1" ]; then echo $(($(wc -c <"$1"))); else echo 0; fi
}

cut_to() { # cut_to BYTES
    dd if=/dev/null of="$ledger" bs=1 seek="$1" count=0 2>/dev/null
}

mend() { # a torn last line goes aside, one that lacks only its newline gets it
    if [ ! -s "$ledger" ] || [ "$(($(tail -c 1 "$ledger" | wc -l)))" -eq 1 ]; then return; fi
    lines=$(($(wc -l <"$ledger")))
    complete=0
    [ "$lines" -eq 0 ] || complete=$(($(head -n "$lines" "$ledger" | wc -c)))
    tail -c "+$((complete + 1))" "$ledger" >"$draft" 2>/dev/null || fail 1 "$draft can't be written: is the disk full?"
    if tr '\000' '\001' <"$draft" | awk -f "$here/values.awk" -f "$here/whole.awk"; then
        echo >>"$ledger"
    else
        sync "$draft" 2>/dev/null || sync
        mkdir -p "$state/torn" 2>/dev/null
        mv "$draft" "$state/torn/autoresearch.jsonl.$(date +%s).$$" 2>/dev/null ||
            fail 1 "the torn last line of $ledger can't be moved to $state/torn."
        cut_to "$complete"
    fi
}

append() { # $said, by one write, durably
    before=$(bytes_of "$ledger")
    printf '%s\n' "$said" >"$draft" 2>/dev/null || fail 1 "$draft can't be written: is the disk full?"
    dd if="$draft" bs=4194304 >>"$ledger" 2>/dev/null
    if [ "$(bytes_of "$ledger")" -ne "$((before + $(bytes_of "$draft")))" ]; then
        [ ! -f "$ledger" ] || cut_to "$before"
        fail 1 "$ledger can't be written: is the disk full?"
    fi
    sync "$ledger" "$dir" 2>/dev/null || sync
}

[ -d "$dir" ] || fail 2 "there is no directory $dir."
[ ! -e "$ledger" ] || [ -f "$ledger" ] || fail 2 "$ledger is no regular file."
compose

mkdir -p "$state" 2>/dev/null || fail 1 "$state can't be made: may this directory be written in?"
trap 'rm -f "$draft"; [ -z "$held" ] || rmdir "$held"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM
take_lock
mend
LOG_NOW=$(date +%s)
LOG_ID=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
compose
append
printf '%s\n' "$said" | tail -n 1
