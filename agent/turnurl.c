/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 7065 section 3.1: no slashes, no user, no path; an IPv6 address stands
 * in brackets. The default ports are those of RFC 8656 section 3.1, and a
 * name is looked up as it is: no SRV records (RFC 5928), which nobody
 * publishes for a service with passwords.
 */
#include "agent/turnurl.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define PORT_TURN  3478
#define PORT_TURNS 5349

static bool
host_good(const char *host, bool v6)
{
	struct in6_addr a;

	if (v6)
		return inet_pton(AF_INET6, host, &a) == 1;
	return host[0] != '\0' && host[0] != '-' &&
	    strspn(host,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789.-") == strlen(host);
}

/* The host, up to where *p then stands. */
static int
host_get(struct turn_url *u, const char **p)
{
	bool v6 = **p == '[';
	const char *from = *p + v6;
	size_t n = strcspn(from, v6 ? "]" : ":?");

	if (n >= sizeof(u->host) || (v6 && from[n] != ']'))
		return PERC_ERR_FORMAT;
	memcpy(u->host, from, n);
	u->host[n] = '\0';
	*p = from + n + v6;
	return host_good(u->host, v6) ? 0 : PERC_ERR_FORMAT;
}

static int
port_get(struct turn_url *u, const char **p)
{
	uint32_t port = 0;
	int digits = 0;

	if (**p != ':')
		return 0;
	for ((*p)++; **p >= '0' && **p <= '9' && digits < 6; digits++, (*p)++)
		port = port * 10 + (uint32_t)(**p - '0');
	if (digits == 0 || port == 0 || port > 65535)
		return PERC_ERR_FORMAT;
	u->port = (uint16_t)port;
	return 0;
}

/* turns over udp would be DTLS, which our library has not. */
static int
transport_get(struct turn_url *u, const char *p)
{
	if (*p == '\0')
		return 0;
	if (strncasecmp(p, "?transport=", 11) != 0)
		return PERC_ERR_FORMAT;
	p += 11;
	if (strcasecmp(p, "tcp") == 0) {
		if (u->transport == TURN_UDP)
			u->transport = TURN_TCP;
		return 0;
	}
	if (strcasecmp(p, "udp") == 0 && u->transport == TURN_UDP)
		return 0;
	return PERC_ERR_UNSUPPORTED;
}

int
turn_url_parse(struct turn_url *u, const char *text)
{
	bool tls = strncasecmp(text, "turns:", 6) == 0;
	const char *p = text + (tls ? 6 : 5);
	int r;

	memset(u, 0, sizeof(*u));
	if (!tls && strncasecmp(text, "turn:", 5) != 0)
		return PERC_ERR_FORMAT;
	u->transport = tls ? TURN_TLS : TURN_UDP;
	u->port = tls ? PORT_TURNS : PORT_TURN;
	if ((r = host_get(u, &p)) != 0 || (r = port_get(u, &p)) != 0)
		return r;
	return transport_get(u, p);
}
