#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that can be proved on this machine, in one command. Each phase
# builds in its own directory under build-check/, so that a second run only
# builds what changed; `./check.sh clean` starts afresh.
#
#	./check.sh [--only PHASE[,PHASE...]] [clean]
#
# PERCH_CHECK_JOBS=N in the environment runs N tests at a time, not one for each
# processor.
#
# The last line is the sum over every TAP result of every phase, a phase
# itself counting as one.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/tools/install.sh
. tests/tools/install.sh

only=
work=$PWD/build-check
jobs=$(nproc 2>/dev/null || echo 2)
tests=${PERCH_CHECK_JOBS:-$jobs}	# at a time: they wait more than they reckon
passed=0 failed=0 skipped=0
t0=$(date +%s)

while [ $# -gt 0 ]; do
	case $1 in
	--only) only=,${2:?a phase},; shift 2 ;;
	--only=*) only=,${1#*=},; shift ;;
	clean) chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"; shift ;;
	*) sed -n '4,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
	esac
done
mkdir -p "$work/logs"

# tally LOG: add the totals that automake's test driver printed
tally()
{
	# shellcheck disable=SC2046
	set -- $(awk '/^# (PASS|XFAIL): /{p+=$3} /^# (FAIL|XPASS|ERROR): /{f+=$3}
		/^# SKIP: /{s+=$3} END{print p+0, f+0, s+0}' "$1")
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
	counts="$1 passed, $2 failed, $3 skipped"
}

# told LOG: of a test's words, each failed case with all that was said of it
# (a script's trace and its daemons' logs); the end, if there is no such case
told()
{
	awk '
	function block(i)
	{
		for (i = 1; i <= n; i++)
			if (n <= 100 || i <= 60 || i > n - 40)
				print "    " substr(line[i], 1, 400)
			else if (i == 61)
				print "    ... " n - 100 " lines ..."
		n = 0
	}
	/^(ok|not ok) / { block(); bad = /^not ok/ && !/# (SKIP|TODO)/ }
	/^1\.\./ { plan = 1 }
	/^(Bail out|ERROR: )/ && !/exited with status 1$/ { plan = 0 }
	bad { line[++n] = $0; any = 1 }
	!/^(PASS: |ok |1\.\.)/ { tail[++m] = $0 }
	END {
		block()
		if (any && plan)
			exit
		for (i = m > 40 ? m - 39 : 1; i <= m; i++)
			print "    " substr(tail[i], 1, 400)
	}' "$1"
}

# why LOG PHASE: the lines of a failed phase worth reading
why()
{
	grep -E '^(FAIL|ERROR|XPASS):|(error|warning):|\*\*\*|runtime error|Sanitizer' \
		"$1" | head -n 40
	echo "  ... all of it: $1"
	# automake leaves each test's words beside its name
	sed -n 's/^\(FAIL\|ERROR\): \([^ ]*\).*/\2/p' "$1" | sort -u | head -n 8 |
		while read -r t; do
			log=$(find "$work/$2" -path "*/${t%.*}.log" 2>/dev/null |
				head -n 1)
			[ -z "$log" ] || { echo "  --- $t"
				told "$log" | head -n 300; }
		done
}

# phase NAME SENTENCE FUNCTION
phase()
{
	case $only in
	'' | *,$1,*) ;;
	*) return 0 ;;
	esac
	ps=$(date +%s) log=$work/logs/$1.log counts=
	printf '%-9s %s ... ' "$1" "$2"
	if "$3" >"$log" 2>&1 </dev/null; then
		r=ok passed=$((passed + 1))
	else
		r=FAILED failed=$((failed + 1))
	fi
	tally "$log"
	printf '%s, %s s (%s)\n' "$r" "$(($(date +%s) - ps))" "$counts"
	[ "$r" = ok ] || why "$log" "$1"
	[ "$r" = ok ]
}

# tree NAME CONFIGURE-ARGUMENT...: configure once, out of tree
tree()
{
	mkdir -p "$work/$1" && cd "$work/$1" || return 1
	shift
	[ -f ../../configure ] || (cd ../.. && ./autogen.sh) || return 1
	if [ ! -f config.status ] || [ ../../configure -nt config.status ]; then
		../../configure -q --enable-werror "$@" || return 1
	fi
}

# The programs among the tests, without the scripts: what needs no second run
# under another compiler's idea of the same bytes.
units() { printf 'TESTS=%s' "$(make -s list-units | tr '\n' ' ')"; }

do_install()
{
	# shellcheck disable=SC2086
	perch_install "$work/logs/apt.log" $PKG_BUILD $PKG_ROAD $PKG_CHECK &&
		perch_glewlwyd "$work/glewlwyd" &&
		perch_exim "$work/exim" &&
		perch_coturn "$work/coturn" && perch_oidc "$work/oidc" &&
		perch_promtool "$work/promtool" &&
		perch_werift "$work/werift" &&
		perch_chromium "$work/logs/apt-chromium.log"
}
do_autogen() { ./autogen.sh; }
do_gcc()
(
	tree gcc CC=gcc CFLAGS="-O2 -g" && make -s -j"$jobs" &&
		make -s -j"$jobs" check TESTS= && make -s -j"$tests" check
)
do_clang()
(
	tree clang CC=clang CFLAGS="-O1" && make -s -j"$jobs" &&
		make -s -j"$jobs" check TESTS=
)
do_asan()
(
	tree asan --enable-sanitizers CC=clang CFLAGS="-O1 -g" &&
		make -s -j"$jobs" && make -s -j"$jobs" check TESTS= &&
		make -s -j"$tests" check
)
do_tsan()
(
	tree tsan --enable-sanitizers=thread CC=clang CFLAGS="-O1 -g" &&
		make -s -j"$jobs" && make -s -j"$jobs" check "$(units)"
)
do_fuzz()
(
	tree fuzz --enable-fuzzing --enable-sanitizers CC=clang CFLAGS="-O1 -g" &&
		make -s -j"$jobs" fuzzers || exit 1
	../../tests/fuzz/campaign.sh --seconds 5 .
)
do_distcheck()
(
	tree gcc && make -s -j"$jobs" distcheck "$(units)"
)

phase install "packages that are missing" do_install || only=,none,
if phase autogen "autoreconf with warnings as errors" do_autogen; then
	phase gcc "gcc -Werror, make check" do_gcc
	phase clang "clang -Werror" do_clang
	phase asan "clang, address and undefined, make check" do_asan
	phase tsan "clang, thread, unit tests" do_tsan
	phase fuzz "clang, every fuzz target for 5 s" do_fuzz
	phase distcheck "make distcheck, unit tests" do_distcheck
fi
printf 'total     %s s\n' "$(($(date +%s) - t0))"
printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
