#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run every fuzz target of a build made with --enable-fuzzing, for seconds in
# check.sh or for hours by hand:
#
#	tests/fuzz/campaign.sh [--seconds N] [--target NAME] BUILDDIR
#
# New inputs go to BUILDDIR/fuzz-corpus/<thing>, crashes beside them; the
# corpus of the source tree is read, never written. Minimise what was worth
# finding with `fuzz_<thing> -merge=1` and commit it by hand.
set -u
here=$(cd "$(dirname "$0")" && pwd)
seconds=3600 only='*'
while [ $# -gt 1 ]; do
	case $1 in
	--seconds) seconds=$2 ;;
	--target) only=$2 ;;
	*) break ;;
	esac
	shift 2
done
if [ $# -ne 1 ] || [ ! -d "$1/tests" ]; then
	echo "usage: campaign.sh [--seconds N] [--target NAME] BUILDDIR" >&2
	exit 2
fi
top=$(cd "$1" && pwd)
pass=0 fail=0
for bin in "$top"/tests/fuzz/fuzz_$only; do
	case $bin in *.o) continue ;; esac
	[ -x "$bin" ] || continue
	thing=${bin##*/fuzz_}
	out=$top/fuzz-corpus/$thing
	mkdir -p "$out"
	set -- "$out"
	[ ! -d "$here/corpus/$thing" ] || set -- "$@" "$here/corpus/$thing"
	if "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$out/" "$@" \
		>"$out.log" 2>&1 </dev/null; then
		pass=$((pass + 1))
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out.log")
		echo "ok - fuzz_$thing, $runs inputs in $seconds s"
	else
		fail=$((fail + 1))
		echo "not ok - fuzz_$thing: $out.log"
		echo "FAIL: fuzz_$thing"
		tail -n 30 "$out.log"
	fi
done
echo "# PASS: $pass"
echo "# FAIL: $fail"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
