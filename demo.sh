#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real conference, from nothing, with proofs on screen:
#
#	./demo.sh [--keep]
#
# Installs what Debian 12 lacks (root or sudo), builds, starts a key server, a
# media forwarder that may not listen, an identity provider and three people's
# agents, and lets them talk. --keep leaves all of it running afterwards.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/tools/install.sh
. tests/tools/install.sh

keep=
case ${1-} in
'') ;;
--keep) keep=--keep ;;
*) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
work=$PWD/build-demo
mkdir -p "$work" || exit 1
t0=$(date +%s)

step()
{
	printf '%s ... ' "$1"
	shift
	if ! "$@" >"$work/demo.log" 2>&1 </dev/null; then
		echo "failed:"
		tail -n 30 "$work/demo.log"
		exit 1
	fi
	echo "done ($(($(date +%s) - t0)) s)"
}

build()
(
	if [ ! -x configure ] || [ configure.ac -nt configure ]; then
		./autogen.sh || exit 1
	fi
	cd "$work" || exit 1
	[ -f config.status ] || ../configure -q CFLAGS="-O2 -g" || exit 1
	make -s -j"$(nproc)" && make -s -j"$(nproc)" check TESTS=
)

install()
{
	# shellcheck disable=SC2086
	perch_install "$work/apt.log" $PKG_BUILD $PKG_ROAD &&
		perch_glewlwyd "$work/glewlwyd"
}

step "Installing what this machine lacks" install
step "Building Perch with $(gcc -dumpfullversion 2>/dev/null || echo gcc)" build

export top_srcdir=$PWD top_builddir=$work PYTHONDONTWRITEBYTECODE=1
exec python3 tests/e2e/demo.py ${keep:+"$keep"}
