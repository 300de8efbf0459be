#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cmocka 1.1.5 reports a skipped test as "not ok N # SKIP name", which TAP
# readers take for a failure. Say it as TAP does, with the reason that stands
# on a line before it (skip.h); keep the exit status.
exec 4>&1
status=$({ { "$@" 3>&- 4>&-; echo "$?" >&3; } | sed '
	/^# SKIP /{ h; d; }
	/^not ok [0-9]* # SKIP/{
		G
		s/^not \(ok [0-9]*\) # SKIP \([^\n]*\)\n\(# SKIP \)*/\1 - \2 # SKIP /
		p; s/.*//; x; d
	}' >&4; } 3>&1)
exit "$status"
