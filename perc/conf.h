/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration is a table per program: name, type, range, default, target
 * and a line of help. The file is "name = value" lines, '#' comments, and
 * "[section name]" headers for things there can be several of. Unknown
 * names, values out of range and repeats are errors with file and line.
 *
 *	# perch-kmf.conf
 *	listen = 127.0.0.1:8443
 *	[issuer corp]
 *	url = https://sso.example/realms/corp
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

enum perc_conf_type {
	PERC_CONF_STR,	/* char *, owned by the target, freed by _clear */
	PERC_CONF_PATH, /* as STR; relative to the file's directory, or
			 * "credential:NAME" (systemd's LoadCredential) */
	PERC_CONF_INT,	/* int64_t within min..max */
	PERC_CONF_BOOL, /* bool: yes/no, true/false, on/off */
	PERC_CONF_LIST, /* char **, NULL-terminated; comma-separated */
	PERC_CONF_HOSTPORT, /* char *, "host:port" or "[v6]:port" checked */
	PERC_CONF_URL,	/* char *, https only, no trailing slash kept */
	PERC_CONF_ENUM, /* int; names in `choices`, "a|b|c" */
};

struct perc_conf_item {
	const char *name;
	enum perc_conf_type type;
	size_t offset;	     /* of the target within the struct */
	const char *def;     /* default as text; NULL: none */
	int64_t min, max;    /* INT */
	const char *choices; /* ENUM */
	bool required;
	bool fixed;	     /* for whoever runs; --help-config says so */
	const char *help;    /* one line, shown by perc_conf_print_help */
};

struct perc_conf_section {
	const char *name; /* NULL: the part before the first header */
	const struct perc_conf_item *items; /* ends with a zero name */
	/* Named sections: give the struct to fill for "[name label]". */
	int (*open)(void *conf, const char *label, void **targetp);
};

struct perc_conf_error {
	char text[512]; /* "FILE:LINE: what, and what to do" */
};

/* Fill conf from file. sections ends with a zero items. On error *e tells;
 * whatever was set is still to be freed with _clear. */
PERC_MUST int perc_conf_load(void *conf, const char *file,
    const struct perc_conf_section *sections, struct perc_conf_error *e);
/* The same, of a text that stands in the file `from`: errors name `file`, and
 * paths are relative to it. */
PERC_MUST int perc_conf_load_from(void *conf, const char *file,
    const char *from, const struct perc_conf_section *sections,
    struct perc_conf_error *e);
/* For checks that a table cannot do: the words into *e; r again. */
PERC_PRINTF(3, 4)
int perc_conf_complain(struct perc_conf_error *e, int r, const char *fmt, ...);
/* Where text sets `name` of "[section label]" (NULL: in front of the first
 * header; a section without a label): its line; else that of the header; 0:
 * neither stands there, or no memory. */
int perc_conf_line(const char *text, size_t len, const char *section,
    const char *label, const char *name);
struct perc_conf_text { /* what was read, for faults seen later; borrowed */
	const char *file, *text;
	size_t len;
};
/* Of a check that sees what is wrong with, or between, settings when all are
 * read: "FILE:LINE: what" into *e, the line as perc_conf_line() finds it; r
 * again. */
PERC_PRINTF(7, 8)
int perc_conf_fault(struct perc_conf_error *e, int r,
    const struct perc_conf_text *t, const char *section, const char *label,
    const char *name, const char *fmt, ...);
PERC_PRINTF(7, 0)
void perc_conf_vfault(char *why, size_t cap, const struct perc_conf_text *t,
    const char *section, const char *label, const char *name, const char *fmt,
    va_list ap);
/* The same as _load, of a text without a file. */
PERC_MUST int perc_conf_load_text(void *conf, const char *file,
    const char *text, size_t len, const struct perc_conf_section *sections,
    struct perc_conf_error *e);
/* Has this item the same value in a and b? */
bool perc_conf_equal(const void *a, const void *b,
    const struct perc_conf_item *item);
/* Free what the items of one struct own, and zero them. */
void perc_conf_clear(void *target, const struct perc_conf_item *items);
/* Print every name with type, default and help, for --help-config. */
void perc_conf_print_help(const struct perc_conf_section *sections);

/*
 * Open a file that holds a secret: regular, owned by us or root, not readable
 * by group or others, else PERC_ERR_DENIED with *e telling the chmod to run.
 */
PERC_MUST int perc_conf_open_secret(int *fdp, const char *path,
    struct perc_conf_error *e);
/* Whole file into a secret or a string (caller frees), at most max octets. */
struct perc_secret;
PERC_MUST int perc_conf_read_secret(struct perc_secret **sp, const char *path,
    size_t max, struct perc_conf_error *e);
/* The same of what is open already, from its beginning; path is for *e. */
PERC_MUST int perc_conf_read_secret_fd(struct perc_secret **sp, int fd,
    const char *path, size_t max, struct perc_conf_error *e);
PERC_MUST int perc_conf_read_file(char **sp, size_t *lenp, const char *path,
    size_t max, struct perc_conf_error *e);
/* The same of what is open already; path is for *e. */
PERC_MUST int perc_conf_read_fd(char **sp, size_t *lenp, int fd,
    const char *path, size_t max, struct perc_conf_error *e);
