# SPDX-License-Identifier: Apache-2.0
# The numbered SQL steps as a C array, so that the program needs no file at
# run time. A gap in the numbers ends the build.
BEGIN {
	print "/* SPDX-License-Identifier: Apache-2.0 */"
	print "/* Made from schema/ by schema/embed.awk. */"
	print "#include \"db/sqlite.h\"\n"
	print "const char *const db_steps[] = {"
}
FNR == 1 {
	step++
	base = FILENAME
	sub(/.*\//, "", base)
	if (base !~ /^[0-9][0-9][0-9]_[a-z_]+\.sql$/ ||
	    substr(base, 1, 3) + 0 != step) {
		print "embed: " base " is not step " step > "/dev/stderr"
		bad = 1
		exit 1
	}
	if (step > 1)
		print "\t,"
}
{
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	print "\t\"" $0 "\\n\""
}
END {
	if (bad)
		exit 1
	print "};\n"
	print "const int db_steps_count = " step ";"
}
