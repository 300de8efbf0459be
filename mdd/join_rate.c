/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process answers the HTTPS API, and to look at a token costs it a
 * signature check.
 */
#include <stdio.h>
#include <string.h>

#include "mdd/control.h"
#include "perc/log.h"
#include "perc/rate.h"

/* Before anything is looked at. What watches over us asks on. */
bool
join_over(struct ctl *c, struct perc_httpd_req *r)
{
	static struct perc_log_limit limit = { .burst = 10, .per_ms = 10000 };
	const char *path = perc_httpd_path(r);
	struct perc_httpd_header later = { "Retry-After", NULL };
	uint8_t who[PERC_RATE_WHO];
	char seconds[16];
	unsigned wait_s;

	if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0)
		return false;
	perc_rate_address(who, perc_httpd_peer(r));
	wait_s =
	    perc_rate_take(c->rate, who, c->conf->rate_address, perc_now_ms());
	if (wait_s == 0)
		return false;
	c->limited++;
	if (perc_log_allow(&limit))
		log_info("too many requests of one address path=%s", path);
	(void)snprintf(seconds, sizeof(seconds), "%u", wait_s);
	later.value = seconds;
	join_problem_with(r, 429, "rate_limited",
	    "Too many requests; wait as Retry-After says", &later);
	return true;
}
