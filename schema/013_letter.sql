-- SPDX-License-Identifier: Apache-2.0
-- What many are told alike is composed and kept once; a message adds whom it
-- is for when it leaves.
CREATE TABLE mail_sheet (
	no         INTEGER PRIMARY KEY,
	event      TEXT NOT NULL         -- text/calendar without an attendee
) STRICT;
ALTER TABLE mail ADD COLUMN sheet INTEGER REFERENCES mail_sheet (no); -- NULL: event says it
ALTER TABLE mail ADD COLUMN place TEXT NOT NULL DEFAULT ''; -- c_ or s_ it tells of
ALTER TABLE mail ADD COLUMN name TEXT NOT NULL DEFAULT '';  -- of the addressee, as in invitee
ALTER TABLE mail ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE mail ADD COLUMN role TEXT NOT NULL DEFAULT '';
CREATE INDEX mail_of_sheet ON mail (sheet) WHERE sheet IS NOT NULL;
