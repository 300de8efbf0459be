-- SPDX-License-Identifier: Apache-2.0
-- Refusals of the last minute: the first of a kind is in the audit chain, its
-- repeats are counted here and go there as one record.
CREATE TABLE refusal (
	iss        TEXT NOT NULL,        -- of a person; '' for others
	actor      TEXT NOT NULL,        -- '' when nobody authenticated
	conference TEXT NOT NULL,        -- '*': this actor tried too many
	code       TEXT NOT NULL,
	status     INTEGER NOT NULL,
	noted_ms   INTEGER NOT NULL,     -- when the chain last heard of it
	count      INTEGER NOT NULL,     -- since then
	first_ms   INTEGER NOT NULL,     -- of these
	last_ms    INTEGER NOT NULL,
	PRIMARY KEY (iss, actor, conference, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_noted ON refusal (noted_ms);
