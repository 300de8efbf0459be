/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of a local application: the first octet chooses the codec. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/vaultframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const codecs[] = { "VP8/90000", "H264/90000",
		"AV1/90000" };
	struct vault_frame f;

	if (n == 0)
		return 0;
	vault_frame_look(&f, codecs[p[0] % 3], p + 1, n - 1);
	if ((f.key || f.ahead) && !f.known)
		abort();
	return 0;
}
