# The line that log-experiment.sh appends to the ledger. Reads values.awk before, the options from the environment
# (LOG_GIVEN names those that were given), and the ledger's lines on stdin. Prints what is to be written, or, with
# exit status 2, the sentence that says why nothing is.

BEGIN {
    for (count = split(ENVIRON["LOG_GIVEN"], words, " "); count > 0; count--) given[words[count]] = 1
    is_config = "config" in given
    if (is_config) check_config()
    else check_experiment()
    segment = -1
}

# ------------------------------------------------------------------------------------------------- the options

function check_config(    metric) {
    refuse_mixed("run commit metric status description metrics segment asi", "%s belongs to an experiment, and --config begins a segment")
    metric = "metric-name" in given ? ENVIRON["LOG_METRIC_NAME"] : "val_bpb"
    if (!("direction" in given)) ENVIRON["LOG_DIRECTION"] = "lower"
    if (!("name" in given)) ENVIRON["LOG_NAME"] = "Optimize " metric
    if (!("metric-unit" in given)) ENVIRON["LOG_METRIC_UNIT"] = metric == "val_bpb" ? "bpb" : ""
    check_text("name", ENVIRON["LOG_NAME"])
    if (ENVIRON["LOG_NAME"] ~ /^[ \t\r\n]*$/) refuse("--name is empty: say what is optimized.")
    if (metric !~ /^([A-Za-z0-9_.]|\302\265)+$/ || length(metric) > 100)
        refuse("--metric-name " shown(metric) " is no METRIC name: letters, digits, '_' and '.' are.")
    check_text("metric-unit", ENVIRON["LOG_METRIC_UNIT"])
    if (ENVIRON["LOG_DIRECTION"] != "lower" && ENVIRON["LOG_DIRECTION"] != "higher")
        refuse("--direction " shown(ENVIRON["LOG_DIRECTION"]) " is neither lower nor higher.")
    config_line = config(ENVIRON["LOG_NAME"], metric, ENVIRON["LOG_METRIC_UNIT"], ENVIRON["LOG_DIRECTION"])
}

function check_experiment(    key) {
    refuse_mixed("name metric-name metric-unit direction", "%s belongs to --config")
    require("metric")
    require("status")
    require("description")
    if ("run" in given && !is_count(ENVIRON["LOG_RUN"], 1))
        refuse("--run " shown(ENVIRON["LOG_RUN"]) " is no whole number from 1.")
    if ("segment" in given && !is_count(ENVIRON["LOG_SEGMENT"], 0))
        refuse("--segment " shown(ENVIRON["LOG_SEGMENT"]) " is no whole number from 0.")
    if (ENVIRON["LOG_COMMIT"] != "" && (ENVIRON["LOG_COMMIT"] !~ /^[0-9a-f]+$/ || length(ENVIRON["LOG_COMMIT"]) < 4 || \
                                        length(ENVIRON["LOG_COMMIT"]) > 64))
        refuse("--commit " shown(ENVIRON["LOG_COMMIT"]) " is no commit: give what `git rev-parse --short HEAD` prints.")
    metric = ENVIRON["LOG_METRIC"] == "null" ? "null" : number(ENVIRON["LOG_METRIC"])
    if (metric == "") refuse("--metric " shown(ENVIRON["LOG_METRIC"]) " is neither a finite number nor null.")
    status = ENVIRON["LOG_STATUS"]
    if (status !~ /^(keep|discard|crash|checks_failed)$/)
        refuse("--status " shown(status) " is none of keep, discard, crash, checks_failed.")
    check_text("description", ENVIRON["LOG_DESCRIPTION"])
    if (ENVIRON["LOG_DESCRIPTION"] ~ /^[ \t\r\n]*$/) refuse("--description is empty: say what was tried.")
    metrics = "metrics" in given ? object(ENVIRON["LOG_METRICS"], top) : "{}"
    if ("metrics" in given) for (key in top) if (number(top[key]) == "") metrics = ""
    if (metrics == "") refuse("--metrics is no JSON object of finite numbers, such as {\"peak_memory_mb\": 44200}.")
    asi = "asi" in given ? object(ENVIRON["LOG_ASI"], top) : "{}"
    if (asi == "" || ("asi" in given && levels > 100))
        refuse("--asi is no JSON object of at most 100 levels, such as {\"hypothesis\": \"a higher LR converges faster\"}.")
    if (status == "keep" && metric == "null") refuse("a kept experiment has a metric: --status keep and --metric null exclude each other.")
    if (status == "crash" && metric != "null" && metric + 0 == 0) metric = "null"
}

function is_count(text, least) { return text ~ /^(0|[1-9][0-9]*)$/ && length(text) < 10 && text + 0 >= least }

function require(name) { if (!(name in given)) refuse("Missing option '--" name "'.") }

function refuse_mixed(names, sentence,    each, count, words) {
    count = split(names, words, " ")
    for (each = 1; each <= count; each++) if (words[each] in given) {
        sub(/%s/, "--" words[each], sentence)
        refuse(sentence ".")
    }
}

function check_text(name, text) { if (!utf8(text)) refuse("--" name " is not UTF-8.") }

function shown(text) {
    gsub(/[^ -~]+/, "?", text)
    return "'" substr(text, 1, 60) "'"
}

function refuse(sentence) {
    print sentence
    refused = 1
    exit 2
}

# -------------------------------------------------------------------------------- what the ledger says by now

{
    if ($0 ~ /^[ \t\r]*$/ || object($0, top) == "") next
    if ("type" in top) {
        if (top["type"] == "\"config\"") read_config()
    } else if ("run" in top) read_experiment()
}

function read_config(    name) {
    for (name in top) if (name ~ /^(name|metricName|metricUnit|bestDirection)$/ && top[name] !~ /^"/) return
    if ("branch" in top && top["branch"] !~ /^("|null)/) return
    begin("bestDirection" in top ? top["bestDirection"] : "\"lower\"")
}

function begin(best) {
    segment++
    direction = best == "\"lower\"" ? "lower" : "higher"
    baseline = best_kept = ""
    measured = 0
}

function read_experiment(    run, value, said) {
    run = unquoted(top["run"])
    value = "metric" in top ? unquoted(top["metric"]) : "null"
    said = "status" in top ? top["status"] : "\"\""
    if (run !~ /^-?[0-9]+(\.0*)?$/ || (value != "null" && value !~ /^-?[0-9]/) || said !~ /^"/) return
    if ("id" in top && top["id"] != "\"\"" && top["id"] != "null" && seen[top["id"]]++) return
    if (run + 0 > last_run) last_run = run + 0
    if (segment < 0) begin("\"lower\"")
    take(unquoted(said), value)
}

function unquoted(token) { return token ~ /^"/ ? substr(token, 2, length(token) - 2) : token }

# An experiment of the current segment: `baseline` and `best_kept` are the kept ones', `of` all that count.
function take(said, value) {
    if (said == "crash" && value != "null" && value + 0 == 0) value = "null"
    if (value == "null") return
    value += 0
    if (said ~ /^(keep|discard|checks_failed)$/) of[++measured] = value
    if (said != "keep") return
    if (baseline == "") baseline = value
    else if (best_kept == "" || (direction == "lower" ? value < best_kept : value > best_kept)) best_kept = value
}

# --------------------------------------------------------------------------------------------- what is written

END {
    if (refused) exit 2
    if (is_config) {
        print config_line
        exit 0
    }
    next_run = last_run + 1
    if ("run" in given && ENVIRON["LOG_RUN"] + 0 != next_run)
        refuse("run " ENVIRON["LOG_RUN"] " is not the next one, which is " next_run ": leave --run out.")
    current = segment < 0 ? 0 : segment
    if ("segment" in given && ENVIRON["LOG_SEGMENT"] + 0 != current)
        refuse("segment " ENVIRON["LOG_SEGMENT"] " is not the current one, which is " current ": --config begins the next.")
    if (segment < 0) {
        print config("Optimize val_bpb", "val_bpb", "bpb", "lower")
        begin("\"lower\"")
    }
    take(status, metric)
    line = "{\"run\":" next_run ",\"commit\":" quoted(ENVIRON["LOG_COMMIT"]) ",\"metric\":" metric
    line = line ",\"metrics\":" metrics ",\"status\":\"" status "\",\"description\":" quoted(ENVIRON["LOG_DESCRIPTION"])
    line = line ",\"timestamp\":" (ENVIRON["LOG_NOW"] == "" ? 0 : ENVIRON["LOG_NOW"]) ",\"segment\":" current
    print line ",\"confidence\":" confidence() ",\"asi\":" asi ",\"id\":\"" ENVIRON["LOG_ID"] "\"}"
}

function config(name, metric, unit, best) {
    return "{\"type\":\"config\",\"name\":" quoted(name) ",\"metricName\":" quoted(metric) ",\"metricUnit\":" quoted(unit) \
        ",\"bestDirection\":\"" best "\"}"
}

# |best kept - baseline| / MAD of all metrics of the segment, this one's included; null while that is undefined.
function confidence(    each, middle, distance, spread, found) {
    if (baseline == "" || best_kept == "" || measured < 3) return "null"
    middle = median(of)
    for (each = 1; each <= measured; each++) distance[each] = absolute(of[each] - middle)
    spread = median(distance)
    if (spread == 0) return "null"
    found = sprintf("%.3f", absolute(best_kept - baseline) / spread)
    sub(/\.?0*$/, "", found)
    return found ~ /^[0-9.]+$/ ? found : "null"
}

function absolute(value) { return value < 0 ? -value : value }

function median(list,    each, other, value, sorted) {
    for (each = 1; each <= measured; each++) {
        value = list[each]
        for (other = each - 1; other > 0 && sorted[other] > value; other--) sorted[other + 1] = sorted[other]
        sorted[other + 1] = value
    }
    each = int((measured + 1) / 2)
    return measured % 2 ? sorted[each] : (sorted[each] + sorted[each + 1]) / 2
}
