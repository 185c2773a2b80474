#!/usr/bin/env bash
# The benchmark: runs train.py and turns its summary into METRIC lines. Guarded: no experiment changes it.
#
# Whoever drives the loop runs this and reads `METRIC name=value`, the last one for a name wins. Exits as train.py did.
# AUTORESEARCH_PYTHON: the Python that runs train.py (default: what `python` in autoresearch.toml says: "engine" is the
#                      one that autoresearch-tui last ran in here, "uv" the workspace's environment).
# AUTORESEARCH_LOG:    the file that our output goes to, if the caller knows it; it is read back for the summary.
set -u
cd "$(dirname "$0")" || exit 1

python=${AUTORESEARCH_PYTHON:-}
if [ -z "$python" ] && grep -Eq '^[[:space:]]*python[[:space:]]*=[[:space:]]*"engine"' autoresearch.toml 2>/dev/null; then
    python=$(cat .autoresearch/python 2>/dev/null)
    if [ ! -x "$python" ]; then
        echo "autoresearch.sh: no Python is known here: set AUTORESEARCH_PYTHON, or run autoresearch-tui prepare ." >&2
        exit 2
    fi
fi

run_training() {
    if [ -n "$python" ]; then "$python" -u train.py; else uv run python -u train.py; fi
}

if [ -n "${AUTORESEARCH_LOG:-}" ]; then
    # No pipe in between: a process that outlives train.py and holds the pipe would hold us up too.
    run_training
    status=$?
    log=$AUTORESEARCH_LOG
else
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    run_training 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
fi

# The summary is at the end: `name:   number`. A run that failed has none, and gets no metric.
if [ "$status" -eq 0 ]; then
    tail -c 1048576 "$log" | tr '\r' '\n' | awk '
        /^[a-z_A-Z]+:[ \t]+[-+.]*[0-9][-+0-9.eE]*[ \t]*$/ {
            sub(/:/, "", $1)
            if ($1 == "peak_vram_mb") $1 = "peak_memory_mb"
            value[$1] = $2
        }
        END {
            count = split("val_bpb peak_memory_mb mfu_percent training_seconds total_seconds " \
                          "total_tokens_M num_steps num_params_M depth", names, " ")
            for (i = 1; i <= count; i++)
                if (names[i] in value) printf "METRIC %s=%s\n", names[i], value[names[i]]
        }'
fi
exit "$status"
