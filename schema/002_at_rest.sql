-- SPDX-License-Identifier: Apache-2.0
-- What guards the file itself: its generation and root key, what was revoked
-- (copied to a journal outside, so that an older file can be told), the
-- indices of purging, and counts that need no counting.

-- One row about this file.
CREATE TABLE meta (
	one        INTEGER PRIMARY KEY CHECK (one = 1),
	id         TEXT NOT NULL,        -- of this KMF's data, in backups too
	generation INTEGER NOT NULL,     -- counts commits; also in root.gen
	root_id    TEXT NOT NULL DEFAULT '', -- of the root key that seals; '': not noted yet
	backup_ms  INTEGER NOT NULL DEFAULT 0, -- this is a backup of then; 0: it is not
	rewrapped  INTEGER NOT NULL DEFAULT 0, -- rows sealed anew by the rewrap that runs
	to_rewrap  INTEGER NOT NULL DEFAULT 0  -- of so many; 0: none runs
) STRICT;
INSERT INTO meta (one, id, generation) VALUES (1, lower(hex(randomblob(16))), 0);

-- What may never come back, whatever backup is restored. Written by the
-- triggers below, in the transaction of the deed.
CREATE TABLE revocation (
	no         INTEGER PRIMARY KEY AUTOINCREMENT,
	kind       TEXT NOT NULL,
	conference TEXT NOT NULL,        -- '' where it is not of one
	a          TEXT NOT NULL DEFAULT '', -- what, by kind
	b          TEXT NOT NULL DEFAULT '',
	c          TEXT NOT NULL DEFAULT '',
	at_s       INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
) STRICT;

CREATE TRIGGER revoked_person AFTER INSERT ON evicted BEGIN
	INSERT INTO revocation (kind, conference, a, b, c)
	    VALUES ('evicted', NEW.conference, NEW.iss, NEW.sub, NEW.email);
END;
CREATE TRIGGER revoked_code AFTER UPDATE OF state ON invitation
WHEN NEW.state = 2 AND OLD.state <> 2 BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('invitation', NEW.conference, NEW.id);
END;
-- A code that was used opens to the key of its first use alone.
CREATE TRIGGER bound_code AFTER UPDATE OF jkt ON invitation
WHEN NEW.jkt <> OLD.jkt BEGIN
	INSERT INTO revocation (kind, conference, a, b)
	    VALUES ('bound', NEW.conference, NEW.id, NEW.jkt);
END;
CREATE TRIGGER deleted_code AFTER DELETE ON invitation
WHEN (SELECT state FROM conference WHERE id = OLD.conference) <> 2 BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('invitation', OLD.conference, OLD.id);
END;
CREATE TRIGGER revoked_invitee AFTER DELETE ON invitee
WHEN (SELECT state FROM conference WHERE id = OLD.conference) <> 2 BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('invitee', OLD.conference, OLD.id);
END;
CREATE TRIGGER ended_conference AFTER UPDATE OF state ON conference
WHEN NEW.state = 2 AND OLD.state <> 2 BEGIN
	INSERT INTO revocation (kind, conference) VALUES ('ended', NEW.id);
END;
CREATE TRIGGER deleted_conference AFTER DELETE ON conference
WHEN OLD.state <> 2 BEGIN
	INSERT INTO revocation (kind, conference) VALUES ('ended', OLD.id);
END;
CREATE TRIGGER retired_key AFTER UPDATE OF retired_ms ON signing_key
WHEN NEW.retired_ms <> 0 AND OLD.retired_ms = 0 BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('signing_key', '', NEW.kid);
END;
CREATE TRIGGER deleted_key AFTER DELETE ON signing_key BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('signing_key', '', OLD.kid);
END;
-- A client whose key or scope changed does not come back with the old ones.
CREATE TRIGGER revoked_client AFTER UPDATE OF disabled, jwk, scope ON client
WHEN NEW.disabled > OLD.disabled OR NEW.jwk <> OLD.jwk
OR NEW.scope <> OLD.scope BEGIN
	INSERT INTO revocation (kind, conference, a) VALUES ('client', '', NEW.id);
END;
CREATE TRIGGER deleted_client AFTER DELETE ON client BEGIN
	INSERT INTO revocation (kind, conference, a) VALUES ('client', '', OLD.id);
END;
-- How far a conference's counters may have come: a restored one goes on
-- behind the next mark, so that no number and no SPI comes twice.
CREATE TRIGGER conference_mark AFTER UPDATE OF epoch, roster_seq, event_no
ON conference WHEN NEW.epoch / 64 <> OLD.epoch / 64
OR NEW.roster_seq / 1024 <> OLD.roster_seq / 1024
OR NEW.event_no / 4096 <> OLD.event_no / 4096 BEGIN
	INSERT INTO revocation (kind, conference, a, b, c) VALUES ('mark',
	    NEW.id, NEW.epoch, NEW.roster_seq, NEW.event_no);
END;

-- Rows there are, kept by triggers: count(*) would read a million.
CREATE TABLE tally (
	name       TEXT PRIMARY KEY,
	n          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tally SELECT 'conference', count(*) FROM conference;
INSERT INTO tally SELECT 'epoch', count(*) FROM epoch;
CREATE TRIGGER conference_more AFTER INSERT ON conference BEGIN
	UPDATE tally SET n = n + 1 WHERE name = 'conference';
END;
CREATE TRIGGER conference_less AFTER DELETE ON conference BEGIN
	UPDATE tally SET n = n - 1 WHERE name = 'conference';
END;
CREATE TRIGGER epoch_more AFTER INSERT ON epoch BEGIN
	UPDATE tally SET n = n + 1 WHERE name = 'epoch';
END;
CREATE TRIGGER epoch_less AFTER DELETE ON epoch BEGIN
	UPDATE tally SET n = n - 1 WHERE name = 'epoch';
END;

CREATE INDEX conference_live ON conference (no) WHERE state = 1;
CREATE INDEX conference_ended ON conference (ended_ms) WHERE state = 2;
CREATE INDEX member_live ON member (conference, lease_ms) WHERE state = 1;
CREATE INDEX member_gone ON member (lease_ms) WHERE state = 2;
CREATE INDEX idempotency_until ON idempotency (until_ms);
