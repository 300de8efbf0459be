-- SPDX-License-Identifier: Apache-2.0
-- The newest roster of each conference, apart from the conference's row, which
-- changes often and would carry half a megabyte along each time. Its text is
-- made when somebody wants it whole; the heads are what differences are
-- chained by (docs/wire/tokens.md). conference.roster is not used any more.
CREATE TABLE roster (
	conference TEXT PRIMARY KEY REFERENCES conference (id) ON DELETE CASCADE,
	seq        INTEGER NOT NULL,
	before     TEXT NOT NULL,        -- head of the roster before; '' none
	head       TEXT NOT NULL,        -- its own; '' of an older Perch
	last       TEXT NOT NULL,        -- hash of the text made last; '' none
	text       TEXT                  -- as signed; NULL: not made
) STRICT;
INSERT INTO roster (conference, seq, before, head, last, text)
	SELECT id, roster_seq, '', '', '', roster FROM conference
	WHERE roster <> '';
UPDATE conference SET roster = '' WHERE roster <> '';
