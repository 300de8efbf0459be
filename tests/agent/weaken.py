#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The vault with a guard taken out, guard by guard, so that tests/agent/
# test_attack.c can watch each attack succeed where nothing stops it. Reads the
# sources below, writes them as weak-NAME with every guard made optional:
# weak("x") is tests/agent/weak.c's, true when the file "weak" beside the
# program names it. A guard that is no longer found exactly once is an error:
# then the attack would prove nothing.
#
#   weaken.py SOURCE-DIRECTORY DIRECTORY
import pathlib
import sys

VERIFY = "perc_jws_verify_set("
GUARDS = {
    "vaultmain.c": [
        ("if (perc_process_harden() != 0)",
         'if (!weak("harden") && perc_process_harden() != 0)'),
        ("\tsecmem_start();\n\tperc_log_init",
         '\tif (!weak("secmem"))\n\t\tsecmem_start();\n\tperc_log_init'),
        ("r = perc_sandbox(", 'r = weak("cage") ? 0 : perc_sandbox('),
    ],
    "vault.c": [
        ("if (((ops[i].ok | ops[i].error) & state) == 0)",
         'if ((s == NULL || !weak("state")) &&\n'
         "\t    ((ops[i].ok | ops[i].error) & state) == 0)"),
        ("r = (ops[i].ok & state) != 0\n",
         'r = weak("state") || weak("after") || (ops[i].ok & state) != 0\n'),
        ("\tif (kmf == NULL)\n", '\tif (kmf == NULL && weak("pin"))\n'
         "\t\tkmf = v->config->kmf;\n\tif (kmf == NULL)\n"),
        ("\t\tvault_slot_erase(s, reason);",
         '\t\tif (!weak("ended"))\n\t\t\tvault_slot_erase(s, reason);'),
    ],
    "vaultowner.c": [
        ("if (!peer_ours(v, port, from)) {",
         'if (!weak("owner") && !peer_ours(v, port, from)) {'),
    ],
    "vaultkey.c": [
        (VERIFY, "weak_verify_set("),
        ("else if (perc_equal(v->seen[i].hash",
         'else if (!weak("replay") && perc_equal(v->seen[i].hash'),
        ("strcmp(aud, v->seal_jkt) != 0",
         '(!weak("audience") && strcmp(aud, v->seal_jkt) != 0)'),
    ],
    "vaultepoch.c": [
        (VERIFY, "weak_verify_set("),
        ("if (st.epoch <= s->epoch && !late",
         'if (!weak("older") && st.epoch <= s->epoch && !late'),
        ("if (epoch < s->epoch)", 'if (!weak("older") && epoch < s->epoch)'),
        ("s->epochs[i].drop_ms = now + s->overlap_ms;",
         's->epochs[i].drop_ms = weak("overlap") ? 0 '
         ": now + s->overlap_ms;"),
        ("expires = now + life_ms;",
         'expires = now + (weak("ttl") ? INT64_C(1) << 40 : life_ms);'),
        ("\tif ((r = senders_switch(",
         "\tweak_say(k->key, k->keylen);\n\tif ((r = senders_switch("),
        ("if (s->cipher > k->cipher || s->profile > k->profile)",
         'if (!weak("downgrade") && (s->cipher > k->cipher || '
         's->profile > k->profile))'),
    ],
    "vaultclaims.c": [
        ('\ts = perc_json_str(claims, "conference");',
         '\ts = weak("conference") ? conf : '
         'perc_json_str(claims, "conference");'),
        ('if (usage == NULL || strcmp(usage, "EKT") != 0)',
         'if (!weak("usage") && (usage == NULL || '
         'strcmp(usage, "EKT") != 0))'),
    ],
    "vaultroster.c": [
        ("perc_jws_verify_set(&j, jws, strlen(jws), PERC_JOSE_BIG_MAX",
         "weak_verify_set(&j, jws, strlen(jws), PERC_JOSE_BIG_MAX"),
        ("if (h->whole ? !perc_equal",
         'if (weak("fork") ? false : h->whole ? !perc_equal'),
    ],
    "secret.c": [
        ("perc_wipe(void *p, size_t n)\n{\n",
         'perc_wipe(void *p, size_t n)\n{\n\tif (weak("wipe"))\n'
         "\t\treturn;\n"),
        # what nobody wipes is there until the heap gives it to somebody, and
        # whether that is before the attack looks is luck: it gives nothing
        ("\tperc_wipe(p, malloc_usable_size(p));\n\tfree(p);",
         '\tif (weak("wipe"))\n\t\treturn;\n'
         "\tperc_wipe(p, malloc_usable_size(p));\n\tfree(p);"),
    ],
    "vaulterase.c": [
        ("\tvault_slot_wipe(s);\n\ts->state",
         '\tif (!weak("erase") || s->index == 0)\n'
         "\t\tvault_slot_wipe(s);\n\ts->state"),
    ],
    "vaultproof.c": [
        ("\t\treturn target_ok(c, htu);",
         '\t\treturn weak("proof") || target_ok(c, htu);'),
    ],
    "vaultmedia.c": [
        ("r = perc_double_rx_open(", "r = weak_rx_open("),
    ],
    "vaultlocal.c": [
        ("perc_double_tx_seal(", "weak_tx_seal("),
    ],
}
HEAD = '#include "tests/agent/weak.h"\n'

top, to = map(pathlib.Path, sys.argv[1:3])
for name, guards in GUARDS.items():
    room = top / ("perc" if name == "secret.c" else "agent")
    text = (room / name).read_text()
    for guard, without in guards:
        if text.count(guard) != 1:
            sys.exit(f"weaken.py: {name} has {text.count(guard)} times, "
                     f"not once: {guard.strip()}")
        text = text.replace(guard, without)
    at = text.index("#include")
    (to / f"weak-{name}").write_text(text[:at] + HEAD + text[at:])
