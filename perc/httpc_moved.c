/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that goes from one network to another keeps its TCP connections,
 * and TCP takes many minutes to see that nobody hears them. Who is told of
 * the change asks the kernel where it would send from now: a connection that
 * stands elsewhere is of no use, and what runs on it ends at once, so that
 * its owner tries again. libcurl has no word for emptying its pool; connections
 * that have rested since before the change are too old to be used again.
 */
#include "perc/httpc_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRESH_MS 3000 /* libcurl counts a connection's rest in seconds */
#define AGE_MAX	 118  /* libcurl's own limit */

/* Literal addresses only, as libcurl tells them. */
static bool
address_get(struct sockaddr_storage *ss, socklen_t *len, const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(443);
		*len = sizeof(*v4);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(443);
	*len = sizeof(*v6);
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

static bool
address_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		    ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		   &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

bool
httpc_addr_stale(const char *from, const char *to)
{
	struct sockaddr_storage there, then, now;
	socklen_t len, tlen, nlen = sizeof(now);
	bool stale = true;
	int fd;

	if (!address_get(&there, &len, to) || !address_get(&then, &tlen, from))
		return false; /* not connected yet */
	if ((fd = socket(there.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return false;
	/* A UDP connect sends nothing: it looks up the route. */
	if (connect(fd, (struct sockaddr *)&there, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&now, &nlen) == 0)
		stale = !address_same(&now, &then);
	close(fd);
	return stale;
}

void
perc_httpc_moved(struct perc_httpc *c)
{
	const char *from, *to;

	for (struct perc_httpc_req *r = c->reqs; r != NULL; r = r->next)
		if (curl_easy_getinfo(r->easy, CURLINFO_LOCAL_IP, &from) ==
			CURLE_OK &&
		    curl_easy_getinfo(r->easy, CURLINFO_PRIMARY_IP, &to) ==
			CURLE_OK &&
		    from != NULL && to != NULL && httpc_addr_stale(from, to)) {
			r->err = PERC_ERR_CLOSED;
			r->finished = true;
		}
	c->moved_ms = perc_now_ms();
	httpc_drain(c);
}

int
httpc_moved_apply(struct perc_httpc_req *r)
{
	int64_t age_ms = perc_now_ms() - r->client->moved_ms;
	long age;
	CURLcode code = CURLE_OK;

	if (r->client->moved_ms == 0)
		return 0;
	age = (long)(age_ms / 1000) - 1;
	if (age_ms < FRESH_MS)
		code = curl_easy_setopt(r->easy, CURLOPT_FRESH_CONNECT, 1L);
	else if (age < AGE_MAX)
		code = curl_easy_setopt(r->easy, CURLOPT_MAXAGE_CONN, age);
	return code == CURLE_OK ? 0 : PERC_ERR_NOMEM;
}
