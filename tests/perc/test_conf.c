/* SPDX-License-Identifier: Apache-2.0 */
/* perc/conf.c: a file fills a struct, or the error says where and what. */
#include "tests/perc/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "perc/conf.h"
#include "perc/secret.h"
#include "tests/tools/skip.h"

struct issuer {
	char label[32], *url, **claims;
};

struct conf {
	char *listen, *name, *path, *base, **tags;
	int64_t fronts;
	bool tls, loud;
	int level;
	struct issuer issuer[2];
	unsigned nissuers;
	int64_t burst;
};

#define AT(t, m) offsetof(struct t, m)

static const struct perc_conf_item top[] = {
	{ "listen", PERC_CONF_HOSTPORT, AT(conf, listen), .required = true,
	    .help = "address to serve" },
	{ "name", PERC_CONF_STR, AT(conf, name), "perch",
	    .help = "shown to people" },
	{ "state_dir", PERC_CONF_PATH, AT(conf, path), "state",
	    .help = "where the database lives" },
	{ "base_url", PERC_CONF_URL, AT(conf, base), .help = "public origin" },
	{ "tags", PERC_CONF_LIST, AT(conf, tags), .help = "words" },
	{ "fronts", PERC_CONF_INT, AT(conf, fronts), "2", 1, 64,
	    .help = "processes" },
	{ "tls", PERC_CONF_BOOL, AT(conf, tls), "yes", .help = "use TLS" },
	{ "loud", PERC_CONF_BOOL, AT(conf, loud), .help = "tell more" },
	{ "level", PERC_CONF_ENUM, AT(conf, level), "info",
	    .choices = "error|warn|info", .help = "how much to tell" },
	{ 0 }
};
static const struct perc_conf_item issuer_items[] = {
	{ "url", PERC_CONF_URL, AT(issuer, url), .required = true,
	    .help = "the issuer" },
	{ "claims", PERC_CONF_LIST, AT(issuer, claims), "email",
	    .help = "what to keep" },
	{ 0 }
};
static const struct perc_conf_item limit_items[] = {
	{ "burst", PERC_CONF_INT, AT(conf, burst), "10", 0, 100,
	    .help = "requests" },
	{ 0 }
};

static int
issuer_open(void *p, const char *label, void **targetp)
{
	struct conf *c = p;
	struct issuer *i;

	if (c->nissuers == COUNT(c->issuer))
		return PERC_ERR_LIMIT;
	i = &c->issuer[c->nissuers++];
	snprintf(i->label, sizeof(i->label), "%s", label);
	*targetp = i;
	return 0;
}

static const struct perc_conf_section sections[] = {
	{ NULL, top, NULL },
	{ "issuer", issuer_items, issuer_open },
	{ "limits", limit_items, NULL },
	{ 0 },
};

static char dir[] = "/tmp/perch-conf-XXXXXX", file[64];
static struct conf c;
static struct perc_conf_error err;

static int
make_dir(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/t.conf", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	unlink(file);
	return rmdir(dir);
}

static void
put(const char *text, size_t n, mode_t mode)
{
	FILE *f;

	unlink(file);
	f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
	assert_int_equal(chmod(file, mode), 0);
}

static int
load(const char *text)
{
	put(text, strlen(text), 0644);
	memset(&c, 0, sizeof(c));
	return perc_conf_load(&c, file, sections, &err);
}

static void
clear(void)
{
	perc_conf_clear(&c, top);
	perc_conf_clear(&c, limit_items);
	for (unsigned i = 0; i < c.nissuers; i++)
		perc_conf_clear(&c.issuer[i], issuer_items);
}

static void
test_a_whole_file(void **state)
{
	char want[128];

	assert_int_equal(load("# a comment\n"
			      "listen = 127.0.0.1:8443   # why not\n"
			      "\tname =  Perch # 1 \r\n"
			      "base_url=https://kmf.example/a#b\n"
			      "\n"),
	    PERC_ERR_FORMAT); /* a fragment is no part of an origin */
	clear();
	assert_int_equal(load("listen = [::1]:0\n"
			      "name = a#b = c\n"
			      "tags = one, two three,, four \n"
			      "base_url = https://kmf.example/a//\n"
			      "tls = off\nlevel = warn\nfronts = 64\n"
			      "[issuer corp]\n"
			      "url = https://sso.example\n"
			      "[limits]\nburst = 0\n"
			      "[issuer  other one]\n"
			      "url = https://b.example:444/x\n"
			      "claims = a"),
	    0);
	assert_string_equal(err.text, "");
	assert_string_equal(c.listen, "[::1]:0");
	assert_string_equal(c.name, "a#b = c");
	assert_string_equal(c.base, "https://kmf.example/a");
	snprintf(want, sizeof(want), "%s/state", dir);
	assert_string_equal(c.path, want);
	assert_string_equal(c.tags[0], "one");
	assert_string_equal(c.tags[1], "two three");
	assert_string_equal(c.tags[2], "four");
	assert_null(c.tags[3]);
	assert_true(!c.tls && !c.loud);
	assert_int_equal(c.level, 1);
	assert_int_equal(c.fronts, 64);
	assert_int_equal(c.burst, 0);
	assert_int_equal(c.nissuers, 2);
	assert_string_equal(c.issuer[0].url, "https://sso.example");
	assert_string_equal(c.issuer[0].claims[0], "email");
	assert_string_equal(c.issuer[1].label, "other one");
	assert_string_equal(c.issuer[1].claims[0], "a");
	clear();
	assert_null(c.listen);
	assert_null(c.tags);
}

static const struct {
	const char *text, *want; /* want: behind "FILE:" */
	int r;
} wrong[] = {
	{ "lisen = 1:1\n",
	    "1: unknown name 'lisen'; did you mean 'listen'? (test_conf "
	    "--help-config lists all)",
	    PERC_ERR_FORMAT },
	{ "\nstatedir = x\n",
	    "2: unknown name 'statedir'; did you mean 'state_dir'? (test_conf "
	    "--help-config lists all)",
	    PERC_ERR_FORMAT },
	{ "zzzzzzzz = 1\n",
	    "1: unknown name 'zzzzzzzz' (test_conf --help-config lists all)",
	    PERC_ERR_FORMAT },
	{ "name = x\n",
	    "'listen' is missing; add the line 'listen = ...' (address to "
	    "serve)",
	    PERC_ERR_NOTFOUND },
	{ "listen = a:1\nlisten = a:1\n",
	    "2: 'listen' was set on line 1 already; keep one of them",
	    PERC_ERR_EXISTS },
	{ "listen = a:1\n[issuer x]\nclaims = a\n\n",
	    "2: 'url' is missing; add the line 'url = ...' (the issuer)",
	    PERC_ERR_NOTFOUND },
	{ "listen = a:1\n[issuer]\n",
	    "2: section 'issuer' needs a label: '[issuer NAME]'",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\n[limits x]\n", "2: section 'limits' takes no label",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\n[what]\n", "2: unknown section 'what'",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\n[limits\n", "2: a section header is '[name label]'",
	    PERC_ERR_FORMAT },
	{ "listen\n", "1: expected 'name = value' or '[section]'",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\nfronts = 65\n",
	    "2: 'fronts' must be a number from 1 to 64", PERC_ERR_FORMAT },
	{ "listen = a:1\nfronts = 0\n",
	    "2: 'fronts' must be a number from 1 to 64", PERC_ERR_FORMAT },
	{ "listen = a:1\nfronts = 2x\n",
	    "2: 'fronts' must be a number from 1 to 64", PERC_ERR_FORMAT },
	{ "listen = a:1\nfronts = 99999999999999999999\n",
	    "2: 'fronts' must be a number from 1 to 64", PERC_ERR_FORMAT },
	{ "listen = a:1\nfronts =\n",
	    "2: 'fronts' must be a number from 1 to 64", PERC_ERR_FORMAT },
	{ "listen = a:1\ntls = maybe\n", "2: 'tls' must be yes or no",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\nlevel = inf\n",
	    "2: 'level' must be one of error|warn|info", PERC_ERR_FORMAT },
	{ "listen = a:1\nlevel =\n",
	    "2: 'level' must be one of error|warn|info", PERC_ERR_FORMAT },
	{ "listen = a\n", "1: 'listen' must be host:port or [v6]:port",
	    PERC_ERR_FORMAT },
	{ "listen = :1\n", "1: 'listen' must be host:port or [v6]:port",
	    PERC_ERR_FORMAT },
	{ "listen = ::1:80\n", "1: 'listen' must be host:port or [v6]:port",
	    PERC_ERR_FORMAT },
	{ "listen = a:65536\n", "1: 'listen' needs a port from 0 to 65535",
	    PERC_ERR_FORMAT },
	{ "listen = a:-1\n", "1: 'listen' must be host:port or [v6]:port",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\nbase_url = http://a\n",
	    "2: 'base_url' must be an https:// URL", PERC_ERR_FORMAT },
	{ "listen = a:1\nbase_url = https:///\n",
	    "2: 'base_url' must be an https:// URL", PERC_ERR_FORMAT },
	{ "listen = a:1\nbase_url = https://u@a\n",
	    "2: 'base_url' must be a plain URL: no user, query, fragment or "
	    "blank",
	    PERC_ERR_FORMAT },
	{ "listen = a:1\nstate_dir =\n", "2: 'state_dir' must not be empty",
	    PERC_ERR_FORMAT },
};

static void
test_errors_say_where_and_what(void **state)
{
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(load(wrong[i].text), wrong[i].r);
		assert_memory_equal(err.text, file, strlen(file));
		assert_int_equal(err.text[strlen(file)], ':');
		if (strcmp(err.text + strlen(file) + 1, wrong[i].want) != 0 &&
		    strstr(err.text, wrong[i].want) == NULL)
			fail_msg(
			    "got '%s', want '%s'", err.text, wrong[i].want);
		clear();
	}
	assert_int_equal(load("listen = a:1\n[issuer a]\nurl=https://a\n"
			      "[issuer b]\nurl=https://a\n[issuer c]\n"),
	    PERC_ERR_LIMIT);
	clear();
}

static void
test_a_NUL_and_a_missing_file(void **state)
{
	put("listen = a:1\0x\n", 15, 0644);
	memset(&c, 0, sizeof(c));
	assert_int_equal(
	    perc_conf_load(&c, file, sections, &err), PERC_ERR_FORMAT);
	clear();
	unlink(file);
	assert_int_equal(
	    perc_conf_load(&c, file, sections, &err), PERC_ERR_NOTFOUND);
	assert_non_null(strstr(err.text, "No such file"));
	clear();
}

static void
test_secret_files_are_private(void **state)
{
	struct perc_secret *s = NULL;
	char want[200];
	int fd = -1;

	put("0123456789", 10, 0640);
	assert_int_equal(
	    perc_conf_open_secret(&fd, file, &err), PERC_ERR_DENIED);
	snprintf(want, sizeof(want),
	    "%s: others may read it; run: chmod 0600 %s", file, file);
	assert_string_equal(err.text, want);
	assert_int_equal(
	    perc_conf_read_secret(&s, file, 100, &err), PERC_ERR_DENIED);
	assert_int_equal(
	    perc_conf_open_secret(&fd, dir, &err), PERC_ERR_DENIED);
	chmod(file, 0600);
	assert_int_equal(
	    perc_conf_read_secret(&s, file, 9, &err), PERC_ERR_LIMIT);
	assert_int_equal(perc_conf_read_secret(&s, file, 10, &err), 0);
	assert_int_equal(s->len, 10);
	assert_memory_equal(s->data, "0123456789", 10);
	perc_secret_free(s);
	put("", 0, 0600);
	assert_int_equal(
	    perc_conf_read_secret(&s, file, 10, &err), PERC_ERR_SHORT);
}

static void
test_a_fifo_does_not_hang_us(void **state)
{
	int fd;

	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	alarm(5);
	assert_int_equal(
	    perc_conf_open_secret(&fd, file, &err), PERC_ERR_DENIED);
	alarm(0);
	assert_non_null(strstr(err.text, "not a regular file"));
}

static void
test_somebody_elses_secret_is_refused(void **state)
{
	int fd;

	if (geteuid() != 0)
		skip_because("only root gives a file to another");
	put("x", 1, 0600);
	assert_int_equal(chown(file, 12345, 12345), 0);
	assert_int_equal(
	    perc_conf_open_secret(&fd, file, &err), PERC_ERR_DENIED);
	assert_non_null(strstr(err.text, "run: chown 0"));
}

static void
test_whole_files(void **state)
{
	char *text = NULL;
	size_t n = 0;

	put("ab\0c", 4, 0644);
	assert_int_equal(
	    perc_conf_read_file(&text, &n, file, 3, &err), PERC_ERR_LIMIT);
	assert_int_equal(perc_conf_read_file(&text, &n, file, 4, &err), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(text, "ab\0c", 5);
	free(text);
}

/* The help goes to stdout: look at it through a file. */
static void
test_help_shows_every_name(void **state)
{
	char *text = NULL;
	size_t n;
	int keep = dup(1);

	fflush(stdout);
	unlink(file);
	assert_non_null(freopen(file, "w", stdout));
	perc_conf_print_help(sections);
	fflush(stdout);
	assert_true(dup2(keep, 1) == 1);
	close(keep);
	assert_int_equal(perc_conf_read_file(&text, &n, file, 9999, &err), 0);
	assert_non_null(strstr(
	    text, "# address to serve (host:port, required)\nlisten = \n"));
	assert_non_null(strstr(text, "# processes (1..64)\n#fronts = 2\n"));
	assert_non_null(strstr(text, "(error|warn|info)\n#level = info\n"));
	assert_non_null(strstr(text, "\n[issuer NAME]\n"));
	assert_non_null(strstr(text, "\n[limits]\n"));
	free(text);
}

static void
test_a_fault_seen_later_has_its_line(void **state)
{
	static const char text[] = "listen = a:1 # fronts = 1\r\n"
				   "#fronts = 2\n"
				   "\t fronts=3\n"
				   "[issuer one]\n"
				   "url = https://a/#b=c\n"
				   "[ issuer two ]\n"
				   "[issuer \t two] # the other\n"
				   "name = fronts = 4\n"
				   "url = https://b\n"
				   "[limits]\n"
				   "burst = 1";
	static const struct {
		const char *section, *label, *name;
		int line;
	} want[] = { { NULL, NULL, "listen", 1 }, { NULL, NULL, "fronts", 3 },
		{ NULL, NULL, "url", 0 }, { "issuer", "one", "url", 5 },
		{ "issuer", "one", "name", 4 }, { "issuer", "two", "url", 9 },
		{ "issuer", "two", "name", 8 }, { "issuer", "two", "burst", 7 },
		{ "limits", NULL, "burst", 11 }, { "limits", NULL, "x", 10 },
		{ "what", NULL, "url", 0 }, { "issuer", "on", "url", 0 } };
	size_t i, n;
	char *copy;

	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(
		    perc_conf_line(text, sizeof(text) - 1, want[i].section,
			want[i].label, want[i].name),
		    want[i].line);
	/* What is cut off anywhere is read no further. */
	for (n = 0; n < sizeof(text); n++) {
		copy = malloc(n + 1); /* exactly, for the sanitizer */
		assert_non_null(copy);
		memcpy(copy, text, n);
		i = (size_t)perc_conf_line(copy, n, "limits", NULL, "burst");
		assert_true(i <= 11 && (i == 0 || i >= 10));
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_file),
		cmocka_unit_test(test_errors_say_where_and_what),
		cmocka_unit_test(test_a_NUL_and_a_missing_file),
		cmocka_unit_test(test_secret_files_are_private),
		cmocka_unit_test(test_a_fifo_does_not_hang_us),
		cmocka_unit_test(test_somebody_elses_secret_is_refused),
		cmocka_unit_test(test_whole_files),
		cmocka_unit_test(test_help_shows_every_name),
		cmocka_unit_test(test_a_fault_seen_later_has_its_line),
	};

	return cmocka_run_group_tests_name("conf", tests, make_dir, drop_dir);
}
