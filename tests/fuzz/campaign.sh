#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run every fuzz target of a build made with --enable-fuzzing, for seconds in
# check.sh or for hours by hand:
#
#	tests/fuzz/campaign.sh [--seconds N] [--target NAME] [--jobs N] BUILDDIR
#
# New inputs go to BUILDDIR/fuzz-corpus/<thing>, crashes beside them; the
# corpus of the source tree is read, never written. Minimise what was worth
# finding with `fuzz_<thing> -merge=1` and commit it by hand.
set -u
here=$(cd "$(dirname "$0")" && pwd)
seconds=3600 only='*' jobs=$(nproc)

# one BINARY: run it, say "ok" or "not ok"
one()
{
	thing=${1##*/fuzz_}
	out=${1%/tests/fuzz/*}/fuzz-corpus/$thing
	mkdir -p "$out"
	set -- "$1" "$out"
	[ ! -d "$here/corpus/$thing" ] || set -- "$@" "$here/corpus/$thing"
	bin=$1
	shift
	if "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$out/" "$@" \
		>"$out.log" 2>&1 </dev/null; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out.log")
		echo "ok - fuzz_$thing, $runs inputs in $seconds s"
	else
		tail -n 30 "$out.log"
		echo "FAIL: fuzz_$thing: $out.log"
	fi
}

while [ $# -gt 1 ]; do
	case $1 in
	--seconds) seconds=$2 ;;
	--target) only=$2 ;;
	--jobs) jobs=$2 ;;
	--one) one "$2"; exit 0 ;;
	*) break ;;
	esac
	shift 2
done
if [ $# -ne 1 ] || [ ! -d "$1/tests" ]; then
	echo "usage: campaign.sh [--seconds N] [--target NAME] [--jobs N]" \
		"BUILDDIR" >&2
	exit 2
fi
top=$(cd "$1" && pwd)
mkdir -p "$top/fuzz-corpus"
find "$top/tests/fuzz" -maxdepth 1 -type f -perm -u+x -name "fuzz_$only" |
	sort | xargs -P "$jobs" -I{} "$0" --seconds "$seconds" --one {} |
	tee "$top/fuzz-corpus/result"
pass=$(grep -c '^ok - ' "$top/fuzz-corpus/result")
fail=$(grep -c '^FAIL: ' "$top/fuzz-corpus/result")
echo "# PASS: $pass"
echo "# FAIL: $fail"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
