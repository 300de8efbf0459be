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
-- A sheet goes with the last message that it is for.
CREATE TRIGGER mail_sheet_left AFTER UPDATE OF sheet ON mail
WHEN OLD.sheet IS NOT NULL AND OLD.sheet IS NOT NEW.sheet
	AND NOT EXISTS (SELECT 1 FROM mail WHERE sheet = OLD.sheet)
BEGIN
	DELETE FROM mail_sheet WHERE no = OLD.sheet;
END;
CREATE TRIGGER mail_sheet_gone AFTER DELETE ON mail
WHEN OLD.sheet IS NOT NULL
	AND NOT EXISTS (SELECT 1 FROM mail WHERE sheet = OLD.sheet)
BEGIN
	DELETE FROM mail_sheet WHERE no = OLD.sheet;
END;
