/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Separation of duties: every operation against every kind of caller. A new
 * operation fails here until somebody has written down who may.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <string.h>

enum { /* kinds of callers; staff once as a client, once as a person */
	NOBODY = 1,
	MEMBER = 2,   /* token1 */
	PERSON = 4,   /* a provider's own token */
	CODE = 8,     /* a guest's invitation */
	SERVICE = 16, /* a client's token without a scope of use here */
	SCHEDULER = 32,
	ADMIN = 64,
	AUDITOR = 128,
	CLIENT = 256, /* whatever its scope: it is not a token yet */
	ALL = 511,
	HOST_ALONE = 1024, /* of those who sit there, a host */
};

#define SEAT  (MEMBER | PERSON)
#define HOSTS (SEAT | HOST_ALONE)
#define RUN   (SCHEDULER | ADMIN)
#define WATCH (AUDITOR | ADMIN)

static const unsigned duties[KMF_OP_LAST] = {
	[KMF_OP_CLIENT_KEY] = NOBODY,
	[KMF_OP_TOKEN_CLIENT] = CLIENT,
	[KMF_OP_TOKEN1] = PERSON | CODE,
	[KMF_OP_TOKEN2] = SEAT,
	[KMF_OP_TOKEN_ROLE] = PERSON,
	[KMF_OP_CONF_CREATE] = RUN,
	[KMF_OP_CONF_LIST] = RUN,
	[KMF_OP_CONF_GET] = RUN | SEAT,
	[KMF_OP_CONF_PATCH] = RUN,
	[KMF_OP_CONF_DELETE] = RUN,
	[KMF_OP_CONF_END] = RUN | HOSTS,
	[KMF_OP_CONF_REKEY] = RUN | HOSTS,
	[KMF_OP_CONF_EXPLAIN] = RUN,
	[KMF_OP_INV_CREATE] = RUN,
	[KMF_OP_INV_LIST] = RUN,
	[KMF_OP_INV_DELETE] = RUN,
	[KMF_OP_INV_ICS] = RUN,
	[KMF_OP_MEMBER_LIST] = RUN | HOSTS,
	[KMF_OP_MEMBER_EVICT] = RUN | HOSTS,
	[KMF_OP_EVICT] = RUN,
	/* what opens media: to those who sit in the conference alone */
	[KMF_OP_KEYS] = SEAT,
	[KMF_OP_LEASE_RENEW] = SEAT,
	[KMF_OP_LEASE_END] = SEAT,
	[KMF_OP_ROSTER] = SEAT,
	[KMF_OP_EVENTS] = SEAT,
	[KMF_OP_CONF_LOCK] = RUN | HOSTS,
	[KMF_OP_CONF_UNLOCK] = RUN | HOSTS,
	[KMF_OP_CONF_EXTEND] = RUN | HOSTS,
	[KMF_OP_CONF_CANCEL] = RUN,
	[KMF_OP_INV_GET] = RUN,
	[KMF_OP_INV_SEND] = RUN,
	[KMF_OP_INVITEE_ICS] = RUN,
	[KMF_OP_INVITEE_SEND] = RUN,
	[KMF_OP_SERIES_SEND] = RUN,
	[KMF_OP_MEMBER_GET] = RUN | HOSTS,
	[KMF_OP_REDELIVER] = ADMIN,
	[KMF_OP_SERIES_ICS] = RUN,
	[KMF_OP_SERIES_LIST] = RUN,
	[KMF_OP_SERIES_GET] = RUN,
	[KMF_OP_SERIES_PATCH] = RUN,
	[KMF_OP_SERIES_CANCEL] = RUN,
	[KMF_OP_SERIES_DELETE] = RUN,
	[KMF_OP_SERIES_CURRENT] = ALL, /* an id, the same for all */
	[KMF_OP_OCCURRENCE_LIST] = RUN,
	[KMF_OP_OCCURRENCE_MAKE] = RUN,
	[KMF_OP_AUDIT] = WATCH,
	[KMF_OP_FEED] = RUN | WATCH,
	[KMF_OP_HOOKS] = WATCH,
	[KMF_OP_DEAD] = WATCH,
	[KMF_OP_READY] = ALL,
	[KMF_OP_METRICS] = ALL,
};

static const struct caller {
	const char *name;
	unsigned bit;
	enum kmf_who who;
	const char *scope;
} callers[] = {
	{ "nobody", NOBODY, KMF_WHO_NOBODY, "" },
	{ "member", MEMBER, KMF_WHO_MEMBER, "member" },
	{ "person", PERSON, KMF_WHO_PERSON, "admin scheduler auditor" },
	{ "guest", CODE, KMF_WHO_CODE, "admin" },
	{ "service", SERVICE, KMF_WHO_CLIENT, "member" },
	{ "service'", SERVICE, KMF_WHO_CLIENT, "scheduler2 xadmin" },
	{ "scheduler", SCHEDULER, KMF_WHO_CLIENT, "scheduler" },
	{ "admin", ADMIN, KMF_WHO_CLIENT, "admin" },
	{ "auditor", AUDITOR, KMF_WHO_CLIENT, "auditor" },
	{ "person's none", SERVICE, KMF_WHO_ROLE, "member" },
	{ "scheduling person", SCHEDULER, KMF_WHO_ROLE, "scheduler" },
	{ "administrating person", ADMIN, KMF_WHO_ROLE, "admin" },
	{ "auditing person", AUDITOR, KMF_WHO_ROLE, "auditor" },
};
#define NCALLERS (sizeof(callers) / sizeof(callers[0]))

static bool
wanted(enum kmf_op op, const struct caller *c)
{
	unsigned may = duties[op];

	return (may & c->bit) != 0 ||
	    ((may & CLIENT) != 0 && c->who == KMF_WHO_CLIENT);
}

/* Who sits in the conference and is no host. */
static void
test_guests_are_no_hosts(void **state)
{
	struct kit_end bob;
	static struct kit t;
	char conf[40];
	int op;

	kit_open(&t);
	kit_conf(&t, conf, NULL);
	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf);
	for (op = 1; op < KMF_OP_LAST; op++) {
		if ((duties[op] & HOST_ALONE) == 0)
			continue;
		bob.direct = !bob.direct; /* by either road */
		kit_as(&t, &bob, (enum kmf_op)op, "{}");
		if (t.r.status != 403 || strcmp(t.r.code, "not_host") != 0)
			fail_msg(
			    "operation %d: %u %s", op, t.r.status, t.r.code);
	}
	kit_end_close(&bob);
	kit_close(&t);
}

static void
test_every_operation_against_every_caller(void **state)
{
	size_t i;
	int op;

	for (op = 1; op < KMF_OP_LAST; op++) {
		if (duties[op] == 0)
			fail_msg("operation %d has no row here", op);
		for (i = 0; i < NCALLERS; i++)
			if (kmf_op_may((enum kmf_op)op, callers[i].who,
				callers[i].scope) !=
			    wanted((enum kmf_op)op, &callers[i]))
				fail_msg(
				    "operation %d, %s", op, callers[i].name);
	}
}

/* What holds whatever the rows say: REQ-W-4, REQ-WS-6. */
static void
test_no_role_opens_media(void **state)
{
	static const enum kmf_op media[] = { KMF_OP_TOKEN1, KMF_OP_TOKEN2,
		KMF_OP_KEYS, KMF_OP_LEASE_RENEW, KMF_OP_LEASE_END,
		KMF_OP_ROSTER, KMF_OP_EVENTS };
	static const char everything[] = "admin scheduler auditor member";
	size_t i;

	for (i = 0; i < sizeof(media) / sizeof(media[0]); i++) {
		assert_false(kmf_op_may(media[i], KMF_WHO_CLIENT, everything));
		assert_false(kmf_op_may(media[i], KMF_WHO_ROLE, everything));
		assert_false(kmf_op_may(media[i], KMF_WHO_NOBODY, everything));
	}
}

static struct kmf_call
call_of(const struct caller *c, enum kmf_op op, const char *conf)
{
	struct kmf_call call = { .op = op, .conf = conf };

	call.obj = "m_AAAAAAAAAAAAAAAAAAAAAA";
	call.if_match = "*";
	call.id.who = c->who;
	call.id.scope = c->scope;
	call.id.sub = c->who == KMF_WHO_ROLE ? "p_x"
	    : c->bit == SERVICE		     ? "service"
					     : c->name;
	call.id.iss = "https://idp.example";
	call.id.jkt = "key";
	return call;
}

/* And so it goes with a real keeper: who may not is told so, and nothing
 * comes of it. */
static void
test_the_keeper_obeys_the_table(void **state)
{
	static struct kit t;
	struct kmf_call call;
	bool refused;
	char conf[40];
	size_t i;
	int op;

	kit_open(&t);
	kit_client(&t, "scheduler", "scheduler");
	kit_client(&t, "auditor", "auditor");
	kit_client(&t, "service", "member");
	kit_conf(&t, conf, NULL);
	for (op = 1; op < KMF_OP_LAST; op++) {
		for (i = 0; i < NCALLERS; i++) {
			if (wanted((enum kmf_op)op, &callers[i]))
				continue;
			call = call_of(&callers[i], (enum kmf_op)op, conf);
			kit_call(&t, &call);
			refused = t.r.status == 404 || t.r.status == 403 ||
			    (t.r.status == 400 &&
				strcmp(t.r.code, "invalid_target") == 0);
			if (!refused)
				fail_msg("operation %d, %s: %u %s", op,
				    callers[i].name, t.r.status, t.r.code);
		}
	}
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_GET, conf, "", NULL)->status, 200);
	kit_close(&t);
}

/* A scheduler's conferences are its own; an administrator's are all. */
static void
test_schedulers_see_their_own(void **state)
{
	static const enum kmf_op ops[] = { KMF_OP_CONF_GET, KMF_OP_CONF_PATCH,
		KMF_OP_CONF_END, KMF_OP_CONF_REKEY, KMF_OP_CONF_EXPLAIN,
		KMF_OP_INV_CREATE, KMF_OP_INV_LIST, KMF_OP_MEMBER_LIST,
		KMF_OP_CONF_DELETE };
	static const char body[] =
	    "{\"title\": \"Mine\", \"starts_at\": \"2027-01-15T09:00:00Z\", "
	    "\"ends_at\": \"2027-01-15T10:00:00Z\"}";
	static struct kit t;
	char conf[40], mine[40];
	size_t i;

	kit_open(&t);
	kit_client(&t, "cal", "scheduler");
	kit_conf(&t, conf, NULL); /* the administrator's */
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		kit_staff(&t, "cal", "scheduler", ops[i], conf, "", "{}");
		assert_int_equal(t.r.status, 404);
		kit_staff(&t, "p_carol", "scheduler", ops[i], conf, "", "{}");
		assert_int_equal(t.r.status, 404);
	}
	kit_staff(&t, "p_carol", "scheduler", KMF_OP_CONF_CREATE, "", "", body);
	assert_int_equal(t.r.status, 201);
	strcpy(mine, perc_json_str(t.r.json, "id"));
	assert_string_equal(perc_json_str(t.r.json, "created_by"), "p_carol");
	kit_staff(&t, "cal", "scheduler", KMF_OP_CONF_GET, mine, "", NULL);
	assert_int_equal(t.r.status, 404);
	kit_staff(&t, "cal", "scheduler", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 0);
	kit_staff(&t, "p_carol", "scheduler", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 1);
	kit_staff(&t, "p_root", "admin", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 2);
	kit_staff(&t, "p_root", "admin", KMF_OP_CONF_END, mine, "", NULL);
	assert_int_equal(t.r.status, 200);
	kit_close(&t);
}

/* A client's token outlives neither the client nor its scope. */
static void
test_clients_are_looked_at_every_time(void **state)
{
	static struct kit t;

	kit_open(&t);
	kit_client(&t, "cal", "scheduler");
	kit_staff(&t, "cal", "scheduler", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(t.r.status, 200);
	kit_client_set(&t, "cal", "auditor", false); /* the token is older */
	kit_staff(&t, "cal", "scheduler", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(t.r.status, 403);
	kit_client_set(&t, "cal", "scheduler", true);
	kit_staff(&t, "cal", "scheduler", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(t.r.status, 401);
	assert_string_equal(t.r.code, "invalid_token");
	kit_staff(&t, "ghost", "scheduler", KMF_OP_CONF_LIST, "", "", NULL);
	assert_int_equal(t.r.status, 401);
	kit_close(&t);
}

/* Roles asked for, as far as granted; the audit chain knows who it is. */
static void
test_role_token(void **state)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN_ROLE };
	static struct kit t;
	const char *sub;
	char first[64];
	json_t *v;

	kit_open(&t);
	c.id.who = KMF_WHO_PERSON;
	c.id.iss = "https://idp.example";
	c.id.sub = "carol";
	c.id.roles = "scheduler member auditor";
	assert_int_equal(kit_call(&t, &c)->status, 400); /* not bound */
	c.id.jkt = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	assert_int_equal(kit_call(&t, &c)->status, 200);
	assert_string_equal(
	    perc_json_str(t.r.json, "scope"), "scheduler auditor");
	v = kit_verify(&t, perc_json_str(t.r.json, "access_token"), "at+jwt");
	sub = perc_json_str(v, "sub");
	assert_memory_equal(sub, "p_", 2);
	assert_null(strstr(sub, "carol"));
	assert_string_equal(perc_json_str(v, "aud"), KIT_BASE);
	assert_null(json_object_get(v, "conference"));
	assert_string_equal(
	    perc_json_str(json_object_get(v, "cnf"), "jkt"), c.id.jkt);
	strcpy(first, sub);
	json_decref(v);
	kit_admin(&t, KMF_OP_AUDIT, "", "", NULL);
	assert_non_null(strstr(t.r.text, first));
	assert_non_null(strstr(t.r.text, "\"sub\":\"carol\""));
	c.arg = "auditor admin";
	assert_int_equal(kit_call(&t, &c)->status, 200);
	assert_string_equal(perc_json_str(t.r.json, "scope"), "auditor");
	c.arg = "admin";
	assert_int_equal(kit_call(&t, &c)->status, 400);
	assert_string_equal(t.r.code, "invalid_scope");
	c.arg = "";
	c.id.roles = "member";
	assert_int_equal(kit_call(&t, &c)->status, 400);
	c.id.roles = "";
	assert_int_equal(kit_call(&t, &c)->status, 400);
	assert_string_equal(t.r.code, "invalid_scope");
	kit_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_operation_against_every_caller),
		cmocka_unit_test(test_guests_are_no_hosts),
		cmocka_unit_test(test_no_role_opens_media),
		cmocka_unit_test(test_the_keeper_obeys_the_table),
		cmocka_unit_test(test_schedulers_see_their_own),
		cmocka_unit_test(test_clients_are_looked_at_every_time),
		cmocka_unit_test(test_role_token),
	};

	return cmocka_run_group_tests_name("duties", tests, NULL, NULL);
}
