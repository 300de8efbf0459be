/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that no URL of ours has business with: those of the machine's
 * own link, where clouds answer with credentials to whoever asks from there.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "perc/httpc_int.h"

/* As prefix and its length in bits. */
static const struct v4 {
	uint32_t net;
	unsigned bits;
} v4[] = {
	{ 0x00000000, 8 },  /* "this network", RFC 1122 */
	{ 0xa9fe0000, 16 }, /* 169.254/16, RFC 3927; metadata of most clouds */
	{ 0xe0000000, 3 },  /* multicast, reserved, broadcast */
	{ 0x646464c8, 32 }, /* 100.100.100.200, metadata */
	{ 0xa83f8110, 32 }, /* 168.63.129.16, metadata */
};

static bool
v4_ok(uint32_t a)
{
	size_t i;

	for (i = 0; i < sizeof(v4) / sizeof(v4[0]); i++)
		if ((a ^ v4[i].net) >> (32 - v4[i].bits) == 0)
			return false;
	return true;
}

/* The last four octets, when they are an IPv4 address in disguise. */
static bool
v6_ok(const struct in6_addr *a)
{
	static const uint8_t metadata[16] = { 0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 }; /* fd00:ec2::254 */
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	uint32_t low;

	memcpy(&low, a->s6_addr + 12, sizeof(low));
	if (IN6_IS_ADDR_V4MAPPED(a) || memcmp(a->s6_addr, nat64, 12) == 0)
		return v4_ok(ntohl(low));
	return !IN6_IS_ADDR_LINKLOCAL(a) && !IN6_IS_ADDR_MULTICAST(a) &&
	    !IN6_IS_ADDR_UNSPECIFIED(a) &&
	    memcmp(a->s6_addr, metadata, sizeof(metadata)) != 0;
}

bool
httpc_addr_ok(const struct sockaddr *sa)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		return v4_ok(ntohl(in.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		return v6_ok(&in6.sin6_addr);
	default:
		return false;
	}
}
