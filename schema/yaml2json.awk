# SPDX-License-Identifier: Apache-2.0
# schema/openapi.yaml as JSON, for the program to carry and to serve. People
# read and write the YAML; a build needs no YAML library for it, because the
# file keeps to a few forms: mappings and lists by indentation of two, flow
# collections on one line, plain or double-quoted scalars, and ">-" for prose.
# tests/house/test_openapi.py holds the result against PyYAML's.

function fail(why) {
	printf "%s:%d: %s\n", FILENAME, at[p], why > "/dev/stderr"
	bad = 1
	exit 1
}

function quote(s) {
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	return "\"" s "\""
}

function scalar(s) {
	if (s == "true" || s == "false" || s == "null" || s ~ /^-?[0-9]+$/)
		return s
	if (s ~ /^[&*!|>%@`']/ || s ~ /: | #/)
		fail("not in our subset of YAML, quote it: " s)
	return quote(s)
}

# --- flow: one line, `text` from `pos` on ---
function blank() {
	while (substr(text, pos, 1) == " ")
		pos++
}

# A double-quoted scalar: its escapes are JSON's already.
function quoted(   start) {
	start = pos++
	while (substr(text, pos, 1) != "\"") {
		if (pos > length(text))
			fail("a quote is not closed")
		pos += substr(text, pos, 1) == "\\" ? 2 : 1
	}
	pos++
	return substr(text, start, pos - start)
}

function plain(stops,   start) {
	start = pos
	while (pos <= length(text) && index(stops, substr(text, pos, 1)) == 0)
		pos++
	if (pos == start)
		fail("a value is missing")
	return substr(text, start, pos - start)
}

function flow_map(   out, key, sep) {
	out = "{"
	pos++
	for (blank(); substr(text, pos, 1) != "}"; blank()) {
		key = substr(text, pos, 1) == "\"" ? quoted() : quote(plain(":,}"))
		if (substr(text, pos, 2) != ": ")
			fail("a flow mapping wants `key: value`")
		pos += 2
		out = out sep key ":" flow_value(",}")
		sep = ","
		blank()
		if (substr(text, pos, 1) == ",")
			pos++
		else if (substr(text, pos, 1) != "}")
			fail("a flow mapping is not closed")
	}
	pos++
	return out "}"
}

function flow_list(   out, sep) {
	out = "["
	pos++
	for (blank(); substr(text, pos, 1) != "]"; blank()) {
		out = out sep flow_value(",]")
		sep = ","
		blank()
		if (substr(text, pos, 1) == ",")
			pos++
		else if (substr(text, pos, 1) != "]")
			fail("a flow list is not closed")
	}
	pos++
	return out "]"
}

function flow_value(stops,   c) {
	blank()
	c = substr(text, pos, 1)
	if (c == "{")
		return flow_map()
	if (c == "[")
		return flow_list()
	return c == "\"" ? quoted() : scalar(plain(stops))
}

function inline(s,   out) {
	text = s
	pos = 1
	if (s !~ /^["{[]/)
		return scalar(s)
	out = flow_value("")
	if (pos <= length(text))
		fail("text behind the value")
	return out
}

# --- blocks ---
function folded(depth,   out) {
	while (p <= n && indent[p] > depth)
		out = out (out == "" ? "" : " ") line[p++]
	return quote(out)
}

function block_map(depth,   out, sep, key, rest) {
	out = "{"
	while (p <= n && indent[p] == depth && line[p] !~ /^- /) {
		if (match(line[p], /^"[^"]*":/))
			key = substr(line[p], 1, RLENGTH - 1)
		else if (match(line[p], /^[^:"{[][^:]*:/))
			key = quote(substr(line[p], 1, RLENGTH - 1))
		else
			fail("`key:` was expected")
		rest = substr(line[p], RLENGTH + 1)
		if (rest != "" && sub(/^ +/, "", rest) == 0)
			fail("a space was expected behind the colon")
		out = out sep key ":"
		sep = ","
		if (rest == "") {
			p++
			if (p > n || indent[p] <= depth)
				fail("a value is missing above")
			out = out block(indent[p])
		} else if (rest == ">-") {
			p++
			out = out folded(depth)
		} else {
			out = out inline(rest)
			p++
		}
	}
	return out "}"
}

function block_list(depth,   out, sep) {
	out = "["
	while (p <= n && indent[p] == depth && line[p] ~ /^- /) {
		line[p] = substr(line[p], 3)
		out = out sep
		sep = ","
		if (line[p] ~ /^("[^"]*"|[^: "{[][^: ]*):( |$)/) {
			indent[p] = depth + 2
			out = out block_map(depth + 2)
		} else
			out = out inline(line[p++])
	}
	return out "]"
}

function block(depth,   out) {
	out = line[p] ~ /^- / ? block_list(depth) : block_map(depth)
	if (p <= n && indent[p] > depth)
		fail("indented too far")
	return out
}

/^ *(#|$)/ { next }
/\t/ { n = 1; at[1] = FNR; p = 1; fail("a tab") }
{
	match($0, /^ */)
	n++
	indent[n] = RLENGTH
	line[n] = substr($0, RLENGTH + 1)
	sub(/ +$/, "", line[n])
	at[n] = FNR
}
END {
	if (bad)
		exit 1
	p = 1
	out = block(0)
	if (p <= n)
		fail("indented too little")
	print out
}
