/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file of every type; errors must fit their buffer. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "perc/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct conf {
	char *str, *path, *addr, *url, **list, *inner;
	int64_t num;
	bool flag;
	int pick;
};

#define AT(m) offsetof(struct conf, m)

static const struct perc_conf_item top[] = { { "str", PERC_CONF_STR, AT(str),
						 "x", .help = "h" },
	{ "path", PERC_CONF_PATH, AT(path), .help = "h" },
	{ "addr", PERC_CONF_HOSTPORT, AT(addr), .help = "h" },
	{ "url", PERC_CONF_URL, AT(url), .help = "h" },
	{ "list", PERC_CONF_LIST, AT(list), .help = "h" },
	{ "num", PERC_CONF_INT, AT(num), "1", -9, 9, .help = "h" },
	{ "flag", PERC_CONF_BOOL, AT(flag), .help = "h" },
	{ "pick", PERC_CONF_ENUM, AT(pick), .choices = "a|bb|c", .help = "h" },
	{ 0 } };
static const struct perc_conf_item inner[] = {
	{ "inner", PERC_CONF_STR, AT(inner), .required = true, .help = "h" },
	{ 0 }
};

static int
open_inner(void *c, const char *label, void **targetp)
{
	*targetp = c;
	perc_conf_clear(c, inner);
	return label[0] == 'z' ? PERC_ERR_LIMIT : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct perc_conf_section sections[] = {
		{ NULL, top, NULL }, { "in", inner, open_inner }, { 0 }
	};
	struct conf c = { 0 };
	struct perc_conf_error e;
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC), r;

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = perc_conf_load(&c, path, sections, &e);
	if ((r == 0) != (e.text[0] == '\0') || c.num < -9 || c.num > 9)
		abort();
	perc_conf_clear(&c, top);
	perc_conf_clear(&c, inner);
	close(fd);
	return 0;
}
