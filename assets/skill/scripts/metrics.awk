# METRIC lines to a JSON object; what says METRIC and is none is reported. Reads values.awk before, and `tr` has made
# a line of whatever a carriage return ended.

BEGIN {
    LONGEST_LINE = 4096; LONGEST_NAME = 100; MOST_NAMES = 200; MOST_PROBLEMS = 20
    ESCAPE = "\033\\[[0-?]*[ -/]*[@-~]|\033\\][^\007\033]*(\007|\033\\\\)|\033[ -/]*[0-~]"
    # What Python's str.strip takes: more than ASCII's blanks.
    BLANK = "([ \t\013\014\034-\037]|\302[\205\240]|\341\232\200|\342\200[\200-\212\250\251\257]|\342\201\237|\343\200\200)+"
    NAME = "METRIC[ \t]+([A-Za-z0-9_.]|\302\265)+="
}

/M/ {
    line = substr($0, 1, LONGEST_LINE + 1)
    gsub(ESCAPE, "", line)
    sub("^" BLANK, "", line)
    sub(BLANK "$", "", line)
    if (line !~ /^METRIC[ \t]+[^ \t]/ || line ~ ("^METRIC[ \t]+" BLANK "[^ \t]") && line !~ /^METRIC[ \t]+[!-~]/) next
    if (line ~ ("^" NAME)) {
        at = index(line, "=")
        name = substr(line, 8, at - 8)
        sub(/^[ \t]+/, "", name)
        text = substr(line, at + 1)
        value = length($0) > LONGEST_LINE ? "" : number(text)
        if (value != "") {
            set(name, value)
            next
        }
        # The last one wins, and it is no number.
        if (tolower(text) ~ /^[-+]?(nan|inf|infinity)$/ || (length($0) <= LONGEST_LINE && is_decimal(text))) unset(name)
    }
    report("not a METRIC line (METRIC name=number): '" shown(line) "'")
}

END {
    for (each = 1; each <= reports; each++) print problems[each] | "cat 1>&2"
    if (reports) close("cat 1>&2")
    out = ""
    for (each = 1; each <= last; each++) if (each in names) out = out (out == "" ? "" : ", ") "\"" names[each] "\": " values[names[each]]
    print "{" out "}"
}

function is_decimal(text) { return text ~ /^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$/ }

# `names` has them in the order in which they were set last; `place` says where each one is.
function set(name, value,    characters) {
    characters = name
    gsub(/\302\265/, "u", characters)
    if (length(characters) > LONGEST_NAME) {
        report_once("METRIC names of more than " LONGEST_NAME " characters are passed over")
        return
    }
    unset(name)
    if (count == MOST_NAMES) {
        while (!(first in names)) first++
        unset(names[first])
        report_once("there are more than " MOST_NAMES " METRIC names: the last " MOST_NAMES " are kept")
    }
    names[++last] = name
    place[name] = last
    values[name] = value
    count++
}

function unset(name) {
    if (!(name in place)) return
    delete names[place[name]]
    delete place[name]
    delete values[name]
    count--
}

function report(problem) { if (reports < MOST_PROBLEMS) problems[++reports] = problem }

function report_once(problem,    each) {
    for (each = 1; each <= reports; each++) if (problems[each] == problem) return
    report(problem)
}

function shown(text) {
    gsub(/[\001-\037\177]/, "?", text)
    return substr(text, 1, 200)
}
