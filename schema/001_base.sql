-- SPDX-License-Identifier: Apache-2.0
-- The conference session database. Times are milliseconds since 1970 unless
-- the name ends in _s. A `sealed_` column is nonce | AES-256-GCM | tag: no
-- key stands here in the clear, and what opens it is named beside it.

-- The KMF's own signing keys.
CREATE TABLE signing_key (
	kid        TEXT PRIMARY KEY,     -- RFC 7638 thumbprint
	use        TEXT NOT NULL CHECK (use IN ('token', 'statement')),
	public_jwk TEXT NOT NULL,        -- as published in the JWKS
	sealed_jwk BLOB NOT NULL,        -- private JWK, by the root key, aad kid
	created_ms INTEGER NOT NULL,
	retired_ms INTEGER NOT NULL DEFAULT 0 -- 0: signs; else published only
) STRICT, WITHOUT ROWID;

-- Administrators, calendar systems, auditors: private_key_jwt clients.
CREATE TABLE client (
	id         TEXT PRIMARY KEY,
	jwk        TEXT NOT NULL,        -- public key that signs its assertions
	scope      TEXT NOT NULL,        -- what it may at most ask for
	created_ms INTEGER NOT NULL,
	disabled   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- A scheduled conference, and the state of its rekey engine.
CREATE TABLE conference (
	no         INTEGER PRIMARY KEY,  -- order of creation, for paging
	id         TEXT NOT NULL UNIQUE, -- c_...
	title      TEXT NOT NULL,
	starts_ms  INTEGER NOT NULL,
	ends_ms    INTEGER NOT NULL,
	state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- enum db_conf_state
	policy     TEXT NOT NULL,        -- JSON, complete
	mdd        TEXT NOT NULL,        -- base URL of its media distributor
	version    INTEGER NOT NULL,     -- the ETag; counts scheduling changes
	created_ms INTEGER NOT NULL,
	created_by TEXT NOT NULL,        -- client id
	ended_ms   INTEGER NOT NULL DEFAULT 0,
	epoch      INTEGER NOT NULL DEFAULT 0,  -- newest epoch, 0: none yet
	spi_start  INTEGER NOT NULL,     -- of the walk through all 65,536 SPIs
	spi_step   INTEGER NOT NULL,     -- odd, so that the walk has full period
	epoch_ms   INTEGER NOT NULL DEFAULT 0,  -- when the newest was made
	rekey_ms   INTEGER NOT NULL DEFAULT 0,  -- a leave asks for one then; 0: no
	roster_ms  INTEGER NOT NULL DEFAULT 0,  -- the next roster is due; 0: none
	due_ms     INTEGER NOT NULL DEFAULT 0,  -- wake the engine then; 0: never
	event_no   INTEGER NOT NULL DEFAULT 0,  -- of the event stream
	roster_seq INTEGER NOT NULL DEFAULT 0,
	roster     TEXT NOT NULL DEFAULT ''     -- newest, as signed
) STRICT;
CREATE INDEX conference_due ON conference (due_ms) WHERE due_ms > 0;

-- Opens the epochs and delivery keys of one conference. Deleting the row
-- destroys them all, in backups of later date too.
CREATE TABLE conference_key (
	conference TEXT PRIMARY KEY REFERENCES conference (id) ON DELETE CASCADE,
	sealed_key BLOB NOT NULL         -- by the root key, aad conference id
) STRICT, WITHOUT ROWID;

-- Who is invited by name; exactly one of the three ways to name them.
CREATE TABLE invitee (
	no         INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE, -- v_...
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	email      TEXT NOT NULL DEFAULT '', -- lower case; must be verified
	iss        TEXT NOT NULL DEFAULT '',
	sub        TEXT NOT NULL DEFAULT '',
	grp        TEXT NOT NULL DEFAULT '', -- group, as the provider names it
	role       TEXT NOT NULL DEFAULT 'member',
	kind       TEXT NOT NULL DEFAULT 'person'
) STRICT;
CREATE INDEX invitee_conference ON invitee (conference);

-- Invitations by code, for guests without an account.
CREATE TABLE invitation (
	no         INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE, -- i_...
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	code_hash  TEXT NOT NULL UNIQUE, -- base64url SHA-256; the code is nowhere
	email      TEXT NOT NULL DEFAULT '',
	name       TEXT NOT NULL DEFAULT '',
	kind       TEXT NOT NULL DEFAULT 'person',
	jkt        TEXT NOT NULL DEFAULT '', -- key of its first use
	state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- enum db_inv_state
	created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX invitation_conference ON invitation (conference);

-- One endpoint of one invited person in one conference.
CREATE TABLE member (
	no         INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE, -- m_..., the pseudonym
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	iss        TEXT NOT NULL,
	sub        TEXT NOT NULL,
	email      TEXT NOT NULL,
	name       TEXT NOT NULL,
	kind       TEXT NOT NULL,
	role       TEXT NOT NULL,
	jkt        TEXT NOT NULL,        -- thumbprint of the endpoint's key
	via        TEXT NOT NULL,        -- invitee or invitation that let it in
	state      INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)), -- enum db_member_state
	ssrc_audio INTEGER NOT NULL,
	ssrc_video INTEGER NOT NULL,
	sealed_delivery BLOB,            -- by the conference key, aad member id
	granted    INTEGER NOT NULL DEFAULT 0, -- newest epoch it may know
	held       INTEGER NOT NULL DEFAULT 0, -- epoch it told us it holds
	joined_ms  INTEGER NOT NULL DEFAULT 0,
	lease_ms   INTEGER NOT NULL DEFAULT 0, -- live until then
	UNIQUE (conference, iss, sub, jkt)
) STRICT;
CREATE INDEX member_state ON member (conference, state);

-- SSRCs ever assigned in a conference: none comes back.
CREATE TABLE ssrc (
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	ssrc       INTEGER NOT NULL CHECK (ssrc BETWEEN 1 AND 4294967295),
	PRIMARY KEY (conference, ssrc)
) STRICT, WITHOUT ROWID;

-- Persons put out of a conference for good.
CREATE TABLE evicted (
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	iss        TEXT NOT NULL,
	sub        TEXT NOT NULL,
	email      TEXT NOT NULL,
	at_ms      INTEGER NOT NULL,
	PRIMARY KEY (conference, iss, sub)
) STRICT, WITHOUT ROWID;

-- Epochs. A replaced epoch keeps its row and loses its key.
CREATE TABLE epoch (
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	epoch      INTEGER NOT NULL,
	spi        INTEGER NOT NULL CHECK (spi BETWEEN 0 AND 65535),
	sealed_key BLOB,                 -- key || salt, by the conference key,
	                                 -- aad conference.epoch
	made_ms    INTEGER NOT NULL,
	PRIMARY KEY (conference, epoch),
	UNIQUE (conference, spi)
) STRICT, WITHOUT ROWID;

-- Proofs seen; each is good once (RFC 9449 section 11.1).
CREATE TABLE replay (
	hash       TEXT PRIMARY KEY,
	until_s    INTEGER NOT NULL      -- forgotten after that
) STRICT, WITHOUT ROWID;
CREATE INDEX replay_until ON replay (until_s);

-- Answers to requests that carried an Idempotency-Key.
CREATE TABLE idempotency (
	client     TEXT NOT NULL,
	key        TEXT NOT NULL,
	body_hash  TEXT NOT NULL,        -- of operation, target and body
	sealed_answer BLOB NOT NULL,     -- by the root key, aad body_hash
	until_ms   INTEGER NOT NULL,
	PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;

-- What happened, chained: hash = SHA-256(prev || text).
CREATE TABLE audit (
	seq        INTEGER PRIMARY KEY,
	text       TEXT NOT NULL,        -- canonical JSON of the event
	prev       TEXT NOT NULL,        -- base64url hash of the row before
	hash       TEXT NOT NULL
) STRICT;
