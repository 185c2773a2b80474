# Whether stdin, a line without its newline, is a whole JSON object. Reads values.awk before.
{ is_whole = NR == 1 && object($0, top) != "" }
END { exit !is_whole }
