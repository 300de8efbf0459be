-- SPDX-License-Identifier: Apache-2.0
-- Questions about the audit log, and what the KMF signed about it. The new
-- columns repeat members of the text, which alone is hashed, to search by.
ALTER TABLE audit ADD COLUMN at TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN conference TEXT NOT NULL DEFAULT '';
UPDATE audit SET at = json_extract(text, '$.at'),
	kind = json_extract(text, '$.kind'),
	actor = json_extract(text, '$.actor'),
	conference = json_extract(text, '$.conference');
CREATE INDEX audit_conference ON audit (conference, seq)
	WHERE conference <> '';

-- A checkpoint: a JWS by the statement key about the newest row at that time.
CREATE TABLE audit_checkpoint (
	n          INTEGER PRIMARY KEY,  -- counts from 1 without a gap
	seq        INTEGER NOT NULL UNIQUE REFERENCES audit (seq),
	at_ms      INTEGER NOT NULL,
	jws        TEXT NOT NULL
) STRICT;
