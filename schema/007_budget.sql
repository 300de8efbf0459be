-- SPDX-License-Identifier: Apache-2.0
-- What coming and going may still cost: token buckets, of a person in a
-- conference or of the conference. A bucket is full again at full_ms.
CREATE TABLE budget (
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	key        TEXT NOT NULL,        -- p_ id of a person, or what is counted
	full_ms    INTEGER NOT NULL,
	PRIMARY KEY (conference, key)
) STRICT, WITHOUT ROWID;
