-- SPDX-License-Identifier: Apache-2.0
-- What scheduling brought is revoked for good too.
CREATE TRIGGER revoked_series_invitee AFTER DELETE ON series_invitee
WHEN EXISTS (SELECT 1 FROM series WHERE id = OLD.series) BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('series_invitee', '', OLD.id);
END;
CREATE TRIGGER ended_series AFTER UPDATE OF state ON series
WHEN NEW.state > OLD.state BEGIN
	INSERT INTO revocation (kind, conference, a, b)
	    VALUES ('series', '', NEW.id, NEW.state);
END;
CREATE TRIGGER deleted_series AFTER DELETE ON series BEGIN
	INSERT INTO revocation (kind, conference, a, b)
	    VALUES ('series', '', OLD.id, 2);
END;
-- The newest of them counts: unlocking is noted as well.
CREATE TRIGGER locked_conference AFTER UPDATE OF locked_ms ON conference
WHEN NEW.locked_ms <> OLD.locked_ms BEGIN
	INSERT INTO revocation (kind, conference, a)
	    VALUES ('locked', NEW.id, NEW.locked_ms);
END;
