# What a text is as a value: numbers, and JSON. Read before one of the programs beside it.
# Works on bytes, so LC_ALL=C; written for any POSIX awk (mawk, gawk, busybox, the original one).

# 2^1024 - 2^970, of which the first 40 digits tell: what is not below it is rounded to infinity.
function limit() { return "1797693134862315807937289714053034150799" }

# Whether 0.DIGITS (those of `whole`, then those of `fraction`) times ten to their place and `exponent` is a double.
function finite(whole, fraction, exponent,    digits, order) {
    digits = whole fraction
    order = length(whole) + exponent
    if (match(digits, /^0+/)) {
        digits = substr(digits, RLENGTH + 1)
        order -= RLENGTH
    }
    if (digits == "" || order < 309) return 1
    return order == 309 && ("x" substr(digits, 1, 40)) < ("x" limit())
}

# The JSON number that a decimal one is (`+5.` is 5); "" where the text is none, or none that is finite.
function number(text,    at, sign, whole, fraction, exponent) {
    if (text !~ /^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$/) return ""
    sign = substr(text, 1, 1) == "-" ? "-" : ""
    sub(/^[-+]/, "", text)
    if ((at = match(text, /[eE]/))) {
        exponent = substr(text, at + 1)
        text = substr(text, 1, at - 1)
    }
    at = index(text, ".")
    whole = at ? substr(text, 1, at - 1) : text
    fraction = at ? substr(text, at + 1) : ""
    sub(/^0+/, "", whole)
    if (!finite(whole, fraction, exponent)) return ""
    return sign (whole == "" ? "0" : whole) (fraction == "" ? "" : "." fraction) (exponent == "" ? "" : "e" exponent)
}

# Whether the bytes are UTF-8, as RFC 3629 has it.
function utf8(text,    at, size, code, more, low, high) {
    if (text !~ /[^\001-\177]/) return 1
    if (length("\303\251") == 1) return 1  # an awk that reads characters has taken them for such
    if (!("\200" in BYTE)) for (code = 128; code < 256; code++) BYTE[sprintf("%c", code)] = code
    more = 0
    size = length(text)
    for (at = 1; at <= size; at++) {
        code = BYTE[substr(text, at, 1)] + 0
        if (more) {
            if (code < low || code > high) return 0
            more--
            low = 128; high = 191
            continue
        }
        if (code < 128) continue
        if (code < 194 || code > 244) return 0
        more = code < 224 ? 1 : code < 240 ? 2 : 3
        low = code == 224 ? 160 : code == 240 ? 144 : 128
        high = code == 237 ? 159 : code == 244 ? 143 : 191
    }
    return !more
}

# A text as a JSON string. Long ones are taken in pieces, for what is cut off again and again is copied each time.
function quoted(text,    out, at, piece, c) {
    out = ""
    for (at = 1; (piece = substr(text, at, 400)) != ""; at += 400) {
        while (match(piece, /["\\\001-\037]/)) {
            c = substr(piece, RSTART, 1)
            out = out substr(piece, 1, RSTART - 1) escaped(c)
            piece = substr(piece, RSTART + 1)
        }
        out = out piece
    }
    return "\"" out "\""
}

function escaped(c,    code) {
    if (c == "\"" || c == "\\") return "\\" c
    if (c == "\n") return "\\n"
    if (c == "\t") return "\\t"
    if (c == "\r") return "\\r"
    for (code = 1; code < 32; code++) if (sprintf("%c", code) == c) return sprintf("\\u%04x", code)
}

# How long the JSON string is that the text begins with, its quotes included; 0 where that is none.
function string(text,    at, size, piece, step) {
    size = length(text)
    for (at = 2; (piece = substr(text, at, 400)) != "";) {
        for (;;) {
            if (!match(piece, /["\\\001-\037]/)) {
                at += length(piece)
                break
            }
            at += RSTART - 1
            piece = substr(piece, RSTART)
            if (piece ~ /^"/) return at
            if (length(piece) < 12 && at + length(piece) <= size) break
            if (piece ~ /^\\["\\\/bfnrt]/) step = 2
            else if (piece ~ /^\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F]\\u[dD][c-fC-F][0-9a-fA-F][0-9a-fA-F]/) step = 12
            else if (piece ~ /^\\u[dD][89a-fA-F]/) return 0
            else if (piece ~ /^\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/) step = 6
            else return 0
            at += step
            piece = substr(piece, step + 1)
        }
    }
    return 0
}

# The JSON object that a text is, without blanks and on one line; "" where it is none, or none that readers take: a
# number that is not finite, half a surrogate pair, nested without end. `top` gets what its own keys have for values,
# the global `levels` how deep it is.
function object(text, top,    rest, out, nest, expected, c, size, token, key, from, is_value) {
    split("", top)
    if (!utf8(text)) return ""
    rest = text
    out = nest = ""
    levels = 0
    expected = "value"
    for (;;) {
        sub(/^[ \t\r\n]+/, "", rest)
        if (expected == "end") return rest == "" ? out : ""
        c = substr(rest, 1, 1)
        size = 1
        is_value = 0
        if (expected == "colon") {
            if (c != ":") return ""
            expected = "value"
        } else if ((c == "}" && (expected == "first key" || expected == "{ more")) || \
                   (c == "]" && (expected == "first value" || expected == "[ more"))) {
            nest = substr(nest, 1, length(nest) - 1)
            is_value = 1
        } else if (expected == "{ more" || expected == "[ more") {
            if (c != ",") return ""
            expected = expected == "{ more" ? "key" : "value"
        } else if (expected == "key" || expected == "first key") {
            if (c != "\"" || !(size = string(rest))) return ""
            if (length(nest) == 1) key = substr(rest, 2, size - 2)
            expected = "colon"
        } else if (c == "{" || (c == "[" && nest != "")) {
            if (length(nest) == 1) from = length(out) + 1
            nest = nest c
            if (length(nest) > levels) levels = length(nest)
            if (levels > 200) return ""
            expected = c == "{" ? "first key" : "first value"
        } else {
            if (nest == "") return ""
            if (c == "\"") size = string(rest)
            else if (match(rest, /^(true|false|null)/)) size = RLENGTH
            else if (match(rest, /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/)) {
                size = RLENGTH
                token = substr(rest, 1, size)
                if (size > 4300 || (token ~ /[.eE]/ && number(token) == "")) return ""
            } else return ""
            if (!size) return ""
            if (length(nest) == 1) from = length(out) + 1
            is_value = 1
        }
        out = out substr(rest, 1, size)
        rest = substr(rest, size + 1)
        if (is_value) {
            if (nest == "{") top[key] = substr(out, from)
            expected = nest == "" ? "end" : substr(nest, length(nest), 1) " more"
        }
    }
}
