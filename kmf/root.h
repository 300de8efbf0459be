/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The root key: where it is read, what is derived of it, and the second one
 * that stands beside it ("NAME.new", or the credential "NAME_new") while
 * everything is sealed anew. root_id in the database says which of the two
 * seals; until the rewrap is done both open.
 */
#pragma once

#include "db/db.h"
#include "kmf/kmf.h"
#include "perc/secret.h"

/* HMAC-SHA256, so that it tells nothing of the key. */
PERC_MUST int kmf_root_id(char out[static DB_HASH_MAX],
    const struct perc_secret *root);
/* A key of its own for what is not in the database; wiped by the caller. */
PERC_MUST int kmf_root_derive(uint8_t out[static 32],
    const struct perc_secret *root, const char *what);
/* The key in that file; PERC_ERR_NOTFOUND when there is no such file. */
PERC_MUST int kmf_root_read(struct perc_secret **sp, const char *path,
    char *why, size_t whycap);

struct kmf_roots {
	struct perc_secret *seal;  /* by this one */
	struct perc_secret *other; /* opens too, while rewrapping; or NULL */
};
/*
 * Of the configured key and the one beside it (either may be missing), by the
 * database's root_id ("": take the configured). seal is what is sealed by
 * from now on. PERC_ERR_AUTH: neither is the database's.
 */
PERC_MUST int kmf_roots_choose(struct kmf_roots *out, struct perc_secret *now,
    struct perc_secret *next, const char *root_id);
void kmf_roots_clear(struct kmf_roots *r);
/* Both as configured; why as above. */
PERC_MUST int kmf_roots_read(struct perc_secret **now,
    struct perc_secret **next, const struct kmf_conf *c, char *why,
    size_t whycap);
/* PATH.new takes the place of PATH, which is destroyed. To be called only
 * when the database says that the new one seals it all. */
PERC_MUST int kmf_root_swap(const char *path);
/* PATH.new, or for a credential PATH_new. */
void kmf_root_new_path(char *out, size_t cap, const char *path,
    bool credential);
