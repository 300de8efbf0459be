/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command is a row: its words, how many arguments, which options it
 * takes. What a row does not name is a usage error, not something ignored.
 * Help and the shells' completion are made of these tables. A row without a
 * synopsis is an older name for another.
 */
#include "agent/cli.h"

#define BIT	   CLI_BIT
#define AGENT_OPTS (BIT(CLI_JSON) | BIT(CLI_SOCKET))
#define ADMIN_OPTS                                                             \
	(BIT(CLI_JSON) | BIT(CLI_CLIENT) | BIT(CLI_CA) | BIT(CLI_UTC) |        \
	    BIT(CLI_KMF) | BIT(CLI_SOCKET))
#define EDIT_OPTS                                                              \
	(BIT(CLI_TITLE) | BIT(CLI_START) | BIT(CLI_END) | BIT(CLI_FOR) |       \
	    BIT(CLI_INVITE) | BIT(CLI_HOST) | BIT(CLI_GROUP) |                 \
	    BIT(CLI_DOMAIN) | BIT(CLI_POLICY) | BIT(CLI_TZ) |                  \
	    BIT(CLI_NO_MAIL))
#define GUEST_OPTS                                                             \
	(ADMIN_OPTS | BIT(CLI_EMAIL) | BIT(CLI_NAME) | BIT(CLI_KIND) |         \
	    BIT(CLI_ROLE) | BIT(CLI_EXPIRES) | BIT(CLI_TZ) | BIT(CLI_NO_MAIL))
#define EVICT_OPTS (ADMIN_OPTS | BIT(CLI_EMAIL) | BIT(CLI_ISS) | BIT(CLI_SUB))
#define AUDIT_OPTS                                                             \
	(BIT(CLI_TYPE) | BIT(CLI_CONFERENCE) | BIT(CLI_ACTOR) |                \
	    BIT(CLI_FROM) | BIT(CLI_TO) | BIT(CLI_AFTER))

_Static_assert(CLI_OPTS <= 64, "options are bits of a uint64_t");

const struct cli_option cli_options[CLI_OPTS] = {
	[CLI_JSON] = { "json", NULL, NULL, "machine-readable output" },
	[CLI_SOCKET] = { "socket", "PATH", NULL, "of perch-agent" },
	[CLI_CLIENT] = { "client", "FILE", NULL, "the administrator's key" },
	[CLI_CA] = { "ca", "FILE", NULL, "trust anchors for the KMF" },
	[CLI_CODE] = { "code", "CODE", NULL, "an invitation's; - reads it" },
	[CLI_WAIT] = { "wait", "SECONDS", NULL, "for the conference" },
	[CLI_DEVICE] = { "device", NULL, NULL, "log in on another machine" },
	[CLI_BROWSER] = { "browser", NULL, NULL,
	    "log in with this machine's browser" },
	[CLI_KMF] = { "kmf", "URL", NULL, "which key server" },
	[CLI_PROVIDER] = { "provider", "NAME", NULL,
	    "which identity provider" },
	[CLI_NO_QR] = { "no-qr", NULL, NULL, "draw no QR code" },
	[CLI_TITLE] = { "title", "TEXT", NULL, "of the conference" },
	[CLI_START] = { "start", "TIME", NULL, "when it starts" },
	[CLI_END] = { "end", "TIME", NULL, "when it ends" },
	[CLI_FOR] = { "for", "MINUTES", NULL, "how long, or how much longer" },
	[CLI_INVITE] = { "invite", "EMAIL", NULL, "a person to invite" },
	[CLI_GROUP] = { "group", "GROUP", NULL, "a group of the provider's" },
	[CLI_POLICY] = { "policy", "JSON", NULL,
	    "what differs from the defaults" },
	[CLI_EMAIL] = { "email", "EMAIL", NULL, "address" },
	[CLI_NAME] = { "name", "TEXT", NULL, "shown to the others" },
	[CLI_KIND] = { "kind", "KIND", "person room recorder", "of a guest" },
	[CLI_STATE] = { "state", "STATE", "scheduled live ended cancelled",
	    "only such" },
	[CLI_TRIAL] = { "login", NULL, NULL, "try a login too" },
	[CLI_TYPE] = { "type", "TYPES", NULL, "only such" },
	[CLI_CONFERENCE] = { "conference", "CONFERENCE", NULL,
	    "only of this one" },
	[CLI_ACTOR] = { "actor", "ACTOR", NULL, "only what this one did" },
	[CLI_FROM] = { "from", "TIME", NULL, "from then on" },
	[CLI_TO] = { "to", "TIME", NULL, "before then" },
	[CLI_AFTER] = { "after", "CURSOR", NULL, "only what comes behind it" },
	[CLI_FORMAT] = { "format", "FORMAT", "jsonl cef", "of the export" },
	[CLI_OUT] = { "out", "FILE", NULL, "write there" },
	[CLI_KEYS] = { "keys", "FILE", NULL, "kmf-keys.json" },
	[CLI_CHECKPOINT] = { "checkpoint", "FILE", NULL,
	    "the newest checkpoint seen" },
	[CLI_LIVE] = { "live", NULL, NULL, "ask the KMF too" },
	[CLI_FOLLOW] = { "follow", NULL, NULL, "go on as things happen" },
	[CLI_RRULE] = { "rrule", "RULE", NULL, "how it recurs (RFC 5545)" },
	[CLI_TZ] = { "tz", "ZONE", NULL, "time zone, as Europe/Berlin" },
	[CLI_EXDATE] = { "exdate", "TIME", NULL,
	    "an occurrence that is left out" },
	[CLI_HOST] = { "host", "EMAIL", NULL, "a person to invite as host" },
	[CLI_DOMAIN] = { "domain", "DOMAIN", NULL,
	    "everybody with an address there" },
	[CLI_UNINVITE] = { "uninvite", "WHO", NULL, "take off the list" },
	[CLI_ROLE] = { "role", "ROLE", "member host", "of a guest" },
	[CLI_EXPIRES] = { "expires", "TIME", NULL,
	    "the code is good until then" },
	[CLI_REASON] = { "reason", "TEXT", NULL, "told to who is invited" },
	[CLI_NO_MAIL] = { "no-mail", NULL, NULL, "send no mail about it" },
	[CLI_SERIES] = { "series", NULL, NULL,
	    "series, not their occurrences" },
	[CLI_ISS] = { "iss", "URL", NULL, "issuer" },
	[CLI_SUB] = { "sub", "SUBJECT", NULL, "subject at the issuer" },
	[CLI_MEMBER] = { "member", "MEMBER", NULL, "one who is or was in it" },
	[CLI_INVITATION] = { "invitation", "INVITATION", NULL, "a guest's" },
	[CLI_NO_TTY] = { "no-tty", NULL, NULL,
	    "no live view: a line for each change" },
	[CLI_AUDIO] = { "audio", NULL, NULL, "sound" },
	[CLI_VIDEO] = { "video", NULL, NULL, "pictures" },
	[CLI_LAST_N] = { "last-n", "N", NULL, "only who spoke last" },
	[CLI_MAX_LAYER] = { "max-layer", "N", NULL,
	    "best layer of pictures, 0 the smallest" },
	[CLI_UTC] = { "utc", NULL, NULL, "show times in UTC" },
	[CLI_HELP] = { "help", NULL, NULL, "tell the usage" },
	[CLI_VERSION] = { "version", NULL, NULL, "tell the version" },
};

const struct cli_command cli_commands[] = {
	{ NULL, "join", 1, 1,
	    AGENT_OPTS | BIT(CLI_CODE) | BIT(CLI_WAIT) | BIT(CLI_NO_QR) |
		BIT(CLI_NO_TTY),
	    cli_join, "join URI [--code -|CODE] [--wait SECONDS] [--no-tty]",
	    "enter a conference; says where to send and to hear, and on a "
	    "terminal\n      shows it live" },
	{ NULL, "watch", 0, 1, AGENT_OPTS | BIT(CLI_NO_TTY), cli_watch,
	    "watch [CONFERENCE] [--no-tty]",
	    "who is in it and speaks, live, or a line for each change" },
	{ NULL, "status", 0, 0, AGENT_OPTS, cli_status, "status",
	    "where we are, ports and SDP files, trouble in words" },
	{ NULL, "roster", 0, 1, AGENT_OPTS, cli_roster, "roster [CONFERENCE]",
	    "who is in it, as the KMF signed it" },
	{ NULL, "code", 0, 1, AGENT_OPTS, cli_code, "code [CONFERENCE]",
	    "digits to compare by voice: same code, same roster and key" },
	{ NULL, "subscribe", 0, 1,
	    AGENT_OPTS | BIT(CLI_MEMBER) | BIT(CLI_AUDIO) | BIT(CLI_VIDEO) |
		BIT(CLI_LAST_N) | BIT(CLI_MAX_LAYER),
	    cli_subscribe,
	    "subscribe [CONFERENCE] [--member NAME|MEMBER]... "
	    "[--audio|--video]\n      [--last-n N] [--max-layer N]",
	    "be sent this and nothing else; without options, everything" },
	{ NULL, "unsubscribe", 0, 1,
	    AGENT_OPTS | BIT(CLI_MEMBER) | BIT(CLI_AUDIO) | BIT(CLI_VIDEO),
	    cli_unsubscribe,
	    "unsubscribe [CONFERENCE] [--member NAME|MEMBER]... "
	    "[--audio|--video]",
	    "be sent all but this; without options, nothing" },
	{ NULL, "leave", 0, 1, AGENT_OPTS, cli_leave, "leave [CONFERENCE]",
	    "erase its keys and go" },
	{ NULL, "login", 0, 1,
	    AGENT_OPTS | BIT(CLI_DEVICE) | BIT(CLI_BROWSER) | BIT(CLI_KMF) |
		BIT(CLI_PROVIDER) | BIT(CLI_NO_QR),
	    cli_login,
	    "login [URI] [--kmf URL] [--device [--no-qr]|--browser] "
	    "[--provider NAME]",
	    "log in at the organisation's identity provider" },
	{ NULL, "logout", 0, 1, AGENT_OPTS | BIT(CLI_KMF), cli_logout,
	    "logout [URI] [--kmf URL]", "forget that login, here and there" },
	{ NULL, "doctor", 0, 1,
	    AGENT_OPTS | BIT(CLI_CA) | BIT(CLI_KMF) | BIT(CLI_PROVIDER) |
		BIT(CLI_TRIAL) | BIT(CLI_DEVICE) | BIT(CLI_BROWSER) |
		BIT(CLI_NO_QR),
	    cli_doctor,
	    "doctor [URI] [--kmf URL] [--provider NAME] [--login "
	    "[--device|--browser]]",
	    "is the KMF and its single sign-on in order, and what to do" },
	{ "conference", "create", 0, 0,
	    ADMIN_OPTS | EDIT_OPTS | BIT(CLI_RRULE) | BIT(CLI_EXDATE),
	    cli_create,
	    "conference create --title T [--start TIME] [--end TIME|--for "
	    "MINUTES]\n"
	    "      [--invite EMAIL|--host EMAIL|--group G|--domain D]... "
	    "[--policy JSON]\n"
	    "      [--tz ZONE] [--rrule RULE [--exdate TIME]...] [--no-mail]",
	    "schedule one, or with a rule a series" },
	{ "conference", "list", 0, 0,
	    ADMIN_OPTS | BIT(CLI_STATE) | BIT(CLI_SERIES) | BIT(CLI_TITLE),
	    cli_list,
	    "conference list [--state scheduled|live|ended|cancelled] "
	    "[--title TEXT] [--series]",
	    "all of them" },
	{ "conference", "show", 1, 1, ADMIN_OPTS, cli_show,
	    "conference show CONFERENCE", "one of them" },
	{ "conference", "update", 1, 1,
	    ADMIN_OPTS | EDIT_OPTS | BIT(CLI_RRULE) | BIT(CLI_EXDATE) |
		BIT(CLI_UNINVITE),
	    cli_update,
	    "conference update CONFERENCE [as for create] [--uninvite WHO]...",
	    "change it; who is no longer invited is put out" },
	{ "conference", "occurrences", 1, 1, ADMIN_OPTS, cli_occurrences,
	    "conference occurrences SERIES", "when a series is" },
	{ "conference", "lock", 1, 1, ADMIN_OPTS, cli_lock,
	    "conference lock CONFERENCE", "let nobody else in" },
	{ "conference", "unlock", 1, 1, ADMIN_OPTS, cli_unlock,
	    "conference unlock CONFERENCE", "let in who is invited" },
	{ "conference", "extend", 1, 1,
	    ADMIN_OPTS | BIT(CLI_FOR) | BIT(CLI_END) | BIT(CLI_TZ), cli_extend,
	    "conference extend CONFERENCE --for MINUTES|--end TIME",
	    "let it last longer" },
	{ "conference", "cancel", 1, 1,
	    ADMIN_OPTS | BIT(CLI_REASON) | BIT(CLI_NO_MAIL), cli_cancel,
	    "conference cancel CONFERENCE [--reason TEXT] [--no-mail]",
	    "it will not be, and who is in it is put out" },
	{ "conference", "end", 1, 1, ADMIN_OPTS, cli_end,
	    "conference end CONFERENCE", "end it and destroy its keys" },
	{ "conference", "delete", 1, 1, ADMIN_OPTS, cli_delete,
	    "conference delete CONFERENCE", "cancel and forget it" },
	{ "conference", "rekey", 1, 1, ADMIN_OPTS, cli_rekey,
	    "conference rekey CONFERENCE", "a new key for all, now" },
	{ "invite", "add", 1, 1, GUEST_OPTS, cli_invite,
	    "invite add CONFERENCE [--email E] [--name N] [--kind K] [--role "
	    "R]\n"
	    "      [--expires TIME] [--no-mail]",
	    "a code for a guest without an account" },
	{ "invite", "list", 1, 1, ADMIN_OPTS, cli_invite_list,
	    "invite list CONFERENCE", "guests, and whether they used it" },
	{ "invite", "resend", 2, 2, ADMIN_OPTS, cli_invite_resend,
	    "invite resend CONFERENCE INVITATION|INVITEE",
	    "send the mail again, to a guest with a new code" },
	{ "invite", "revoke", 2, 2, ADMIN_OPTS, cli_invite_revoke,
	    "invite revoke CONFERENCE INVITATION",
	    "take it back, and put out who came by it" },
	{ "invite", "ics", 2, 2, ADMIN_OPTS | BIT(CLI_OUT), cli_invite_ics,
	    "invite ics CONFERENCE INVITATION|INVITEE [--out FILE]",
	    "the calendar file" },
	{ NULL, "members", 1, 1, ADMIN_OPTS, cli_members, "members CONFERENCE",
	    "who holds which epoch" },
	{ NULL, "evict", 1, 2, EVICT_OPTS, cli_evict,
	    "evict CONFERENCE MEMBER|--email E|--iss URL --sub S",
	    "send somebody away for good" },
	{ NULL, "explain", 1, 1,
	    ADMIN_OPTS | BIT(CLI_EMAIL) | BIT(CLI_ISS) | BIT(CLI_SUB) |
		BIT(CLI_GROUP) | BIT(CLI_MEMBER) | BIT(CLI_INVITATION),
	    cli_explain,
	    "explain CONFERENCE --email E|--iss URL --sub S|--member M|\n"
	    "      --invitation I [--group G]...",
	    "would this person get the key, rule by rule" },
	{ "conference", "invite", 1, 1, GUEST_OPTS, cli_invite, NULL, NULL },
	{ "conference", "members", 1, 1, ADMIN_OPTS, cli_members, NULL, NULL },
	{ "conference", "evict", 1, 2, EVICT_OPTS, cli_evict, NULL, NULL },
	{ "audit", "list", 0, 0, ADMIN_OPTS | AUDIT_OPTS, cli_audit_list,
	    "audit list [--type T] [--conference C] [--actor A]\n"
	    "             [--from TIME] [--to TIME] [--after SEQ]",
	    "what happened, oldest first" },
	{ "audit", "export", 0, 0,
	    ADMIN_OPTS | AUDIT_OPTS | BIT(CLI_FORMAT) | BIT(CLI_OUT),
	    cli_audit_export,
	    "audit export [--format jsonl|cef] [--out FILE] [--after SEQ] "
	    "[selection as above]",
	    "the same for machines; jsonl without a selection can be "
	    "verified" },
	{ "audit", "verify", 0, 1,
	    ADMIN_OPTS | BIT(CLI_KEYS) | BIT(CLI_CHECKPOINT) | BIT(CLI_LIVE) |
		BIT(CLI_AFTER),
	    cli_audit_verify,
	    "audit verify [FILE|-] --keys FILE [--checkpoint FILE] [--live] "
	    "[--after SEQ]",
	    "is it the log that the KMF wrote, and where not" },
	{ "webhooks", "dead", 1, 1, ADMIN_OPTS, cli_webhooks_dead,
	    "webhooks dead WEBHOOK", "events that it never took" },
	{ "webhooks", "redeliver", 1, 2, ADMIN_OPTS, cli_webhooks_redeliver,
	    "webhooks redeliver WEBHOOK [EVENT]",
	    "try those (or that one) once more" },
	{ NULL, "webhooks", 0, 0, ADMIN_OPTS, cli_webhooks, "webhooks",
	    "how they are" },
	{ NULL, "events", 0, 0,
	    ADMIN_OPTS | BIT(CLI_FOLLOW) | BIT(CLI_AFTER) | BIT(CLI_TYPE) |
		BIT(CLI_CONFERENCE),
	    cli_events,
	    "events [--follow] [--after CURSOR|0|latest] [--type TYPES]\n"
	    "      [--conference C]",
	    "what happens, a line each; --json: JSON lines" },
	{ NULL, "completion", 1, 1, 0, cli_completion, "completion bash|zsh",
	    "what the shell completes; source it" },
};
const size_t cli_ncommands = sizeof(cli_commands) / sizeof(cli_commands[0]);
