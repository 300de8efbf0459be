-- SPDX-License-Identifier: Apache-2.0
-- Scheduling: series and their occurrences, hosts, locks, guests' expiring
-- codes, limits per scheduler, and the mail that goes out.

-- A recurring conference. Its occurrences are conferences of their own.
CREATE TABLE series (
	no         INTEGER PRIMARY KEY,  -- order of creation, for paging
	id         TEXT NOT NULL UNIQUE, -- s_...
	title      TEXT NOT NULL,
	starts_ms  INTEGER NOT NULL,     -- of the first occurrence
	ends_ms    INTEGER NOT NULL,
	tzid       TEXT NOT NULL,        -- IANA name; the rule counts there
	rrule      TEXT NOT NULL,        -- RFC 5545, as it was checked
	policy     TEXT NOT NULL,        -- JSON, complete
	state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- enum db_series_state
	version    INTEGER NOT NULL,     -- the ETag; counts changes
	created_ms INTEGER NOT NULL,
	created_by TEXT NOT NULL,        -- client id
	due_ms     INTEGER NOT NULL DEFAULT 0 -- look for occurrences then; 0: none
) STRICT;
CREATE INDEX series_due ON series (due_ms) WHERE due_ms > 0;

-- What the rule says and yet is not.
CREATE TABLE series_exdate (
	series     TEXT NOT NULL REFERENCES series (id) ON DELETE CASCADE,
	at_ms      INTEGER NOT NULL,     -- the occurrence's recurrence id
	PRIMARY KEY (series, at_ms)
) STRICT, WITHOUT ROWID;

-- Whom each new occurrence invites; as invitee.
CREATE TABLE series_invitee (
	no         INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE, -- v_...
	series     TEXT NOT NULL REFERENCES series (id) ON DELETE CASCADE,
	email      TEXT NOT NULL DEFAULT '',
	iss        TEXT NOT NULL DEFAULT '',
	sub        TEXT NOT NULL DEFAULT '',
	grp        TEXT NOT NULL DEFAULT '',
	domain     TEXT NOT NULL DEFAULT '',
	role       TEXT NOT NULL DEFAULT 'member',
	kind       TEXT NOT NULL DEFAULT 'person'
) STRICT;
CREATE INDEX series_invitee_series ON series_invitee (series);

ALTER TABLE conference ADD COLUMN tzid TEXT NOT NULL DEFAULT 'UTC'; -- for calendars
ALTER TABLE conference ADD COLUMN series TEXT -- NULL: it is one of its own
	REFERENCES series (id) ON DELETE CASCADE;
ALTER TABLE conference ADD COLUMN recur_ms INTEGER NOT NULL DEFAULT 0; -- when the rule says it starts
ALTER TABLE conference ADD COLUMN exception INTEGER NOT NULL DEFAULT 0; -- changed by itself
ALTER TABLE conference ADD COLUMN locked_ms INTEGER NOT NULL DEFAULT 0; -- since then; 0: open
ALTER TABLE conference ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0; -- how it ended
CREATE UNIQUE INDEX conference_series ON conference (series, recur_ms)
	WHERE series IS NOT NULL;

ALTER TABLE invitee ADD COLUMN domain TEXT NOT NULL DEFAULT ''; -- of a verified address

ALTER TABLE invitation ADD COLUMN role TEXT NOT NULL DEFAULT 'member';
ALTER TABLE invitation ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0; -- 0: with the conference

-- Conferences of each scheduler that are not over, so that a limit costs one
-- look however many there are.
CREATE TABLE scheduler (
	client     TEXT PRIMARY KEY,
	open       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO scheduler (client, open)
	SELECT created_by, count(*) FROM conference WHERE state <> 2
	GROUP BY created_by;
CREATE TRIGGER conference_opened AFTER INSERT ON conference
WHEN new.state <> 2 BEGIN
	INSERT INTO scheduler (client, open) VALUES (new.created_by, 1)
	ON CONFLICT (client) DO UPDATE SET open = open + 1;
END;
CREATE TRIGGER conference_over AFTER UPDATE OF state ON conference
WHEN (old.state = 2) <> (new.state = 2) BEGIN
	UPDATE scheduler SET open = open + iif(new.state = 2, -1, 1)
	WHERE client = new.created_by;
END;
CREATE TRIGGER conference_gone AFTER DELETE ON conference
WHEN old.state <> 2 BEGIN
	UPDATE scheduler SET open = open - 1 WHERE client = old.created_by;
END;

-- Mail to invited people, kept until it is sent or given up. What it says is
-- written down when it is queued, for the conference may be gone by then.
CREATE TABLE mail (
	no         INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE, -- e_..., its Message-ID
	about      TEXT NOT NULL,        -- v_ or i_ it invites
	address    TEXT NOT NULL,
	event      TEXT NOT NULL,        -- JSON of what the calendar shall say
	sealed_code BLOB,                -- a guest's code, by the root key, aad id
	state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- enum db_mail_state
	tries      INTEGER NOT NULL DEFAULT 0,
	at_ms      INTEGER NOT NULL,     -- of that state
	due_ms     INTEGER NOT NULL,     -- 0: not queued
	until_ms   INTEGER NOT NULL,     -- given up, and later forgotten, then
	why        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX mail_due ON mail (due_ms) WHERE due_ms > 0;
CREATE INDEX mail_done ON mail (at_ms) WHERE due_ms = 0;
CREATE INDEX mail_about ON mail (about, no);
