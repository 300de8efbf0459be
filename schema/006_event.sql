-- SPDX-License-Identifier: Apache-2.0
-- Events for machines that follow, and webhooks.

-- What happened. A row is written with the audit row of the same number; it
-- may be forgotten after a while, the audit row stays.
CREATE TABLE event (
	seq        INTEGER PRIMARY KEY,  -- of the audit row
	mark       TEXT NOT NULL,        -- begin of that row's hash
	at_ms      INTEGER NOT NULL,
	type       TEXT NOT NULL,        -- "member.joined"
	conference TEXT NOT NULL,        -- may be deleted meanwhile; '' none
	owner      TEXT NOT NULL,        -- who created the conference
	data       TEXT NOT NULL         -- JSON object
) STRICT;
CREATE INDEX event_owner ON event (owner, seq);
CREATE INDEX event_conference ON event (conference, seq);

-- The highest seq that was forgotten: who asks from before has missed some.
CREATE TABLE event_floor (
	id         INTEGER PRIMARY KEY CHECK (id = 1),
	floor      INTEGER NOT NULL
) STRICT;
INSERT INTO event_floor (id, floor)
	SELECT 1, coalesce(max(seq), 0) FROM audit;

-- How far each webhook has come.
CREATE TABLE webhook (
	name       TEXT PRIMARY KEY,     -- "[webhook name]"
	cursor     INTEGER NOT NULL,     -- all up to it are delivered or dead
	tries      INTEGER NOT NULL,     -- in vain, since the last success
	failing_ms INTEGER NOT NULL,     -- since then; 0: it is not
	next_ms    INTEGER NOT NULL,     -- not before
	ok_ms      INTEGER NOT NULL,     -- last success; 0: never
	delivered  INTEGER NOT NULL,
	dead       INTEGER NOT NULL,
	why        TEXT NOT NULL         -- of the last failure
) STRICT;

-- Events that a webhook never took.
CREATE TABLE webhook_dead (
	hook       TEXT NOT NULL,
	dead_ms    INTEGER NOT NULL,     -- given up then
	why        TEXT NOT NULL,
	seq        INTEGER NOT NULL,     -- from here on as in event
	mark       TEXT NOT NULL,
	at_ms      INTEGER NOT NULL,
	type       TEXT NOT NULL,
	conference TEXT NOT NULL,
	data       TEXT NOT NULL,
	PRIMARY KEY (hook, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_dead_ms ON webhook_dead (dead_ms);
