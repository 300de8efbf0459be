-- SPDX-License-Identifier: Apache-2.0
-- A database of version 1 as a KMF left it: one conference live (one member
-- in it, one evicted), one over, one to come.
-- root key eaa1ba788f4a1d5ca4e3ee15ffe6b50f512532c60e4fd47a9cec1e7699f6ff35
PRAGMA application_id = 1349673832;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE audit (
	seq        INTEGER PRIMARY KEY,
	text       TEXT NOT NULL,        -- canonical JSON of the event
	prev       TEXT NOT NULL,        -- base64url hash of the row before
	hash       TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"","detail":{"scope":"admin scheduler auditor"},"kind":"token","seq":1,"subject":"admin"}','','a-ykCtkPn29LoP5LJag5cvBCBDVwc1K_kBm68tph6ss');
INSERT INTO "audit" VALUES(2,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"invitees":2},"kind":"conference_created","seq":2,"subject":""}','a-ykCtkPn29LoP5LJag5cvBCBDVwc1K_kBm68tph6ss','7V79unPC-a3LGaSHd9huVGhvA7pxdMyTRLx1q8Nmnmw');
INSERT INTO "audit" VALUES(3,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","kind":"invited","seq":3,"subject":"i__LB8EC0PebP-c4IrNc2sOQ"}','7V79unPC-a3LGaSHd9huVGhvA7pxdMyTRLx1q8Nmnmw','LZERtyilmbqA6oLaFnv7kvQRf9rs6YtL0hThYfIBc9E');
INSERT INTO "audit" VALUES(4,'{"actor":"m_vfUUL7cBM6K8_fUHtpdZ2g","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"iss":"https://localhost:59131","scope":"member","sub":"i__LB8EC0PebP-c4IrNc2sOQ","via":"i__LB8EC0PebP-c4IrNc2sOQ"},"kind":"token","seq":4,"subject":"m_vfUUL7cBM6K8_fUHtpdZ2g"}','LZERtyilmbqA6oLaFnv7kvQRf9rs6YtL0hThYfIBc9E','HgOiih_5XO69cGJZiJlauDRW0idds6aLUZe-QtjDwUU');
INSERT INTO "audit" VALUES(5,'{"actor":"m_vfUUL7cBM6K8_fUHtpdZ2g","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","kind":"joined","seq":5,"subject":"m_vfUUL7cBM6K8_fUHtpdZ2g"}','HgOiih_5XO69cGJZiJlauDRW0idds6aLUZe-QtjDwUU','EI4k1Y-O6HfSKAqtvm0Br0LFFD1NloO_CBO0x6rh5Ik');
INSERT INTO "audit" VALUES(6,'{"actor":"","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"epoch":1,"members":1,"spi":0},"kind":"epoch","seq":6,"subject":""}','EI4k1Y-O6HfSKAqtvm0Br0LFFD1NloO_CBO0x6rh5Ik','hqVgEszrNYSg6Elk9LihNDmi6A0VYkc6jQm2btpwgcQ');
INSERT INTO "audit" VALUES(7,'{"actor":"m_vfUUL7cBM6K8_fUHtpdZ2g","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"epoch":1,"form":"plain"},"kind":"key","seq":7,"subject":"m_vfUUL7cBM6K8_fUHtpdZ2g"}','hqVgEszrNYSg6Elk9LihNDmi6A0VYkc6jQm2btpwgcQ','gwe3v-JVR22JPr0zy_Az2cGibRKDgIl3jPD32IawOo8');
INSERT INTO "audit" VALUES(8,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","kind":"invited","seq":8,"subject":"i_lL97AzgyqJQ-WP_swDE1_Q"}','gwe3v-JVR22JPr0zy_Az2cGibRKDgIl3jPD32IawOo8','7Jtv_M0j3EjSDp4XtJxPbG2nZ3l8HAAebKQkTcta_Rw');
INSERT INTO "audit" VALUES(9,'{"actor":"m_bK2NY6klK_hXlDdaGwS27w","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"iss":"https://localhost:59131","scope":"member","sub":"i_lL97AzgyqJQ-WP_swDE1_Q","via":"i_lL97AzgyqJQ-WP_swDE1_Q"},"kind":"token","seq":9,"subject":"m_bK2NY6klK_hXlDdaGwS27w"}','7Jtv_M0j3EjSDp4XtJxPbG2nZ3l8HAAebKQkTcta_Rw','xUyxBaRTVxW-UjlEwc5_4rkIxMuzJs9KSkuMaHZzP0Y');
INSERT INTO "audit" VALUES(10,'{"actor":"m_bK2NY6klK_hXlDdaGwS27w","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","kind":"joined","seq":10,"subject":"m_bK2NY6klK_hXlDdaGwS27w"}','xUyxBaRTVxW-UjlEwc5_4rkIxMuzJs9KSkuMaHZzP0Y','eKx7CXeumEnyY3edUGHXjAlOFHsngKk6G_8cR-ie1tQ');
INSERT INTO "audit" VALUES(11,'{"actor":"m_bK2NY6klK_hXlDdaGwS27w","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"epoch":1,"form":"plain"},"kind":"key","seq":11,"subject":"m_bK2NY6klK_hXlDdaGwS27w"}','eKx7CXeumEnyY3edUGHXjAlOFHsngKk6G_8cR-ie1tQ','eRmubwdrdq4593TnIfnlXTGytwOD2b2KXJa048V8Kfw');
INSERT INTO "audit" VALUES(12,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","kind":"invited","seq":12,"subject":"i_mbwSEAQM8t-SUoIHBFduGA"}','eRmubwdrdq4593TnIfnlXTGytwOD2b2KXJa048V8Kfw','LLTrbYiQIjOoy5nXTYgjLM-gPb7wlCg9wxuPKNeQn8c');
INSERT INTO "audit" VALUES(13,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"reason":"evicted"},"kind":"evicted","seq":13,"subject":"m_bK2NY6klK_hXlDdaGwS27w"}','LLTrbYiQIjOoy5nXTYgjLM-gPb7wlCg9wxuPKNeQn8c','XPNRhunCAZCTPRY4Wjc_fAvX541OQWjtbFMhDSWJ_JU');
INSERT INTO "audit" VALUES(14,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","detail":{"invitees":0},"kind":"conference_created","seq":14,"subject":""}','XPNRhunCAZCTPRY4Wjc_fAvX541OQWjtbFMhDSWJ_JU','1Frw7GrSZMzIvjfx5yNgy48X2DF1ZhIuuACySbl3-jw');
INSERT INTO "audit" VALUES(15,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","kind":"invited","seq":15,"subject":"i_0QSSeoCULCa4asO6WjIbqQ"}','1Frw7GrSZMzIvjfx5yNgy48X2DF1ZhIuuACySbl3-jw','qzA53qAdp55BCp8Lp3ZwqoX2ICL3W23CMUiLgtZL4o0');
INSERT INTO "audit" VALUES(16,'{"actor":"m_QnMfhBwEczsVece5HTCAYg","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","detail":{"iss":"https://localhost:59131","scope":"member","sub":"i_0QSSeoCULCa4asO6WjIbqQ","via":"i_0QSSeoCULCa4asO6WjIbqQ"},"kind":"token","seq":16,"subject":"m_QnMfhBwEczsVece5HTCAYg"}','qzA53qAdp55BCp8Lp3ZwqoX2ICL3W23CMUiLgtZL4o0','qBREO7yPp69dqn3igMsggFclQuUGRP1bGk1TOUBnx9I');
INSERT INTO "audit" VALUES(17,'{"actor":"m_QnMfhBwEczsVece5HTCAYg","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","kind":"joined","seq":17,"subject":"m_QnMfhBwEczsVece5HTCAYg"}','qBREO7yPp69dqn3igMsggFclQuUGRP1bGk1TOUBnx9I','g2BxGAZzq3aL2lZU8g2Ga_iTF8CVuiG0YsrUdKuUiaA');
INSERT INTO "audit" VALUES(18,'{"actor":"","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","detail":{"epoch":1,"members":1,"spi":0},"kind":"epoch","seq":18,"subject":""}','g2BxGAZzq3aL2lZU8g2Ga_iTF8CVuiG0YsrUdKuUiaA','j3fCkLG_A3EmoYCqm5ug2N_tkV3L34l8BPWvKRQ4xe4');
INSERT INTO "audit" VALUES(19,'{"actor":"m_QnMfhBwEczsVece5HTCAYg","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","detail":{"epoch":1,"form":"plain"},"kind":"key","seq":19,"subject":"m_QnMfhBwEczsVece5HTCAYg"}','j3fCkLG_A3EmoYCqm5ug2N_tkV3L34l8BPWvKRQ4xe4','_Qs0bhaI9V3gnhj1O3GwJ9BQtfXs0A1MeSTqSUFZ0js');
INSERT INTO "audit" VALUES(20,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_ec12NUuLr9vFHW6ruKVFYA","detail":{"reason":"ended"},"kind":"conference_ended","seq":20,"subject":""}','_Qs0bhaI9V3gnhj1O3GwJ9BQtfXs0A1MeSTqSUFZ0js','GCZA3Q0sD8gWZdFpcSrAXYo5EuLr63E9CD9ijbrPItE');
INSERT INTO "audit" VALUES(21,'{"actor":"admin","at":"2026-11-21T12:53:14Z","conference":"c_guU-DZlN1jltzJGvNr_GyQ","detail":{"invitees":0},"kind":"conference_created","seq":21,"subject":""}','GCZA3Q0sD8gWZdFpcSrAXYo5EuLr63E9CD9ijbrPItE','zwJufFeGYiFNhQFeQzXR4Z4UZfaotugrWVbjKWZTjX4');
INSERT INTO "audit" VALUES(22,'{"actor":"","at":"2026-11-21T12:53:14Z","conference":"c_-qXMw8xLXIE_5y-U8e7qxw","detail":{"epoch":2,"members":1,"spi":0},"kind":"epoch","seq":22,"subject":""}','zwJufFeGYiFNhQFeQzXR4Z4UZfaotugrWVbjKWZTjX4','AfBcPrTRAjrYJ7ysBPhsJRdyUlksz0bNMLuKhBt-C_Q');
CREATE TABLE client (
	id         TEXT PRIMARY KEY,
	jwk        TEXT NOT NULL,        -- public key that signs its assertions
	scope      TEXT NOT NULL,        -- what it may at most ask for
	created_ms INTEGER NOT NULL,
	disabled   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO "client" VALUES('admin','{"crv":"P-256","kty":"EC","x":"vxYU4K67Tpb6q0ukN4r8KrlP-EyJJdD0p4nYg9nlGSQ","y":"haG2-zH-Xg9byyi8iN4ATvxjd0ulBeWIjGUeVZPX91I"}','admin scheduler auditor',1795265593920,0);
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
INSERT INTO "conference" VALUES(1,'c_-qXMw8xLXIE_5y-U8e7qxw','Live, when it was copied',1795265534000,1795269194000,1,'{"rekey_on_leave":true,"rekey_on_join":true,"join_window_ms":2000,"leave_window_ms":250,"max_epoch_age_s":300,"overlap_ms":2000,"lease_s":15,"early_entry_s":600,"cipher":"AESKW128","profile":"AEAD_AES_128_GCM"}','https://mdd.invalid:8444',1,1795265594047,'admin',0,2,42581,64387,1795265594380,0,1795265624380,1795265609130,6,3,'eyJhbGciOiJFUzI1NiIsInR5cCI6InBlcmNoLXJvc3Rlcitqd3QiLCJraWQiOiJSSEVKbHU3Q0lGNTNhekhCYmR2YjExWW8yTUozVzJ0M245UHZ6a3Y0akxVIn0.eyJpc3MiOiJodHRwczovL2xvY2FsaG9zdDo1OTEzMSIsImlhdCI6MTc5NTI2NTU5NCwiZXhwIjoxNzk1MjY1NjY5LCJjb25mZXJlbmNlIjoiY18tcVhNdzh4TFhJRV81eS1VOGU3cXh3Iiwic2VxIjozLCJwcmV2IjoiWU9hZGxsc29MZWNnMjNKODJDNnp0ODRaOEl4cGFMSDVxUHVZVHFaOWZHTSIsImVwb2NoIjoyLCJtZW1iZXJzIjpbeyJtZW1iZXIiOiJtX3ZmVVVMN2NCTTZLOF9mVUh0cGRaMmciLCJuYW1lIjoiQW5uIiwiaWRlbnRpdHkiOnsiaXNzIjoiaHR0cHM6Ly9sb2NhbGhvc3Q6NTkxMzEiLCJzdWIiOiJpX19MQjhFQzBQZWJQLWM0SXJOYzJzT1EifSwia2luZCI6InBlcnNvbiIsInJvbGUiOiJtZW1iZXIiLCJzc3JjcyI6W3sic3NyYyI6ODUxODAwMjIwLCJtZWRpYSI6ImF1ZGlvIn0seyJzc3JjIjozNDU0Mjc4NDM1LCJtZWRpYSI6InZpZGVvIn1dfV19.aMruv1luEToOdElQd8Ru_uB4qC8rBF3jEHmTmybJNy9kM47nki44RacsU33ufQsL06goOYUQnX-7R-dHcPvXjA');
INSERT INTO "conference" VALUES(2,'c_ec12NUuLr9vFHW6ruKVFYA','Over',1795265534000,1795269194000,2,'{"rekey_on_leave":true,"rekey_on_join":true,"join_window_ms":2000,"leave_window_ms":250,"max_epoch_age_s":300,"overlap_ms":2000,"lease_s":15,"early_entry_s":600,"cipher":"AESKW128","profile":"AEAD_AES_128_GCM"}','https://mdd.invalid:8444',1,1795265594248,'admin',1795265594336,1,47875,8107,0,0,0,0,3,1,'');
INSERT INTO "conference" VALUES(3,'c_guU-DZlN1jltzJGvNr_GyQ','Not yet begun',1795265534000,1795269194000,0,'{"rekey_on_leave":true,"rekey_on_join":true,"join_window_ms":2000,"leave_window_ms":250,"max_epoch_age_s":300,"overlap_ms":2000,"lease_s":15,"early_entry_s":600,"cipher":"AESKW128","profile":"AEAD_AES_128_GCM"}','https://mdd.invalid:8444',1,1795265594355,'admin',0,0,44909,2161,0,0,0,1795269194000,0,0,'');
CREATE TABLE conference_key (
	conference TEXT PRIMARY KEY REFERENCES conference (id) ON DELETE CASCADE,
	sealed_key BLOB NOT NULL         -- by the root key, aad conference id
) STRICT, WITHOUT ROWID;
INSERT INTO "conference_key" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',X'83626DDBA392EB80C1FBF9F501BC38B06D7A29025A6EABACB24E7359B4E4B17E503B954ECCD76976F9AD1AEF72AE521EDFEFE47CE6115D63C5037B2B');
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
INSERT INTO "epoch" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',1,41432,NULL,1795265594130);
INSERT INTO "epoch" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',2,40283,X'22E01D15C5DDA7E37C6F3AADC9971CE49CE0B63242394B11B5D9B35C841D99FBDB881233E87EE3F0E56BE6169D4EBD930F1B75F313518AE4',1795265594380);
INSERT INTO "epoch" VALUES('c_ec12NUuLr9vFHW6ruKVFYA',1,55982,NULL,1795265594324);
CREATE TABLE evicted (
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	iss        TEXT NOT NULL,
	sub        TEXT NOT NULL,
	email      TEXT NOT NULL,
	at_ms      INTEGER NOT NULL,
	PRIMARY KEY (conference, iss, sub)
) STRICT, WITHOUT ROWID;
INSERT INTO "evicted" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw','https://localhost:59131','i_lL97AzgyqJQ-WP_swDE1_Q','',1795265594233);
CREATE TABLE idempotency (
	client     TEXT NOT NULL,
	key        TEXT NOT NULL,
	body_hash  TEXT NOT NULL,        -- of operation, target and body
	sealed_answer BLOB NOT NULL,     -- by the root key, aad body_hash
	until_ms   INTEGER NOT NULL,
	PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "invitation" VALUES(1,'i__LB8EC0PebP-c4IrNc2sOQ','c_-qXMw8xLXIE_5y-U8e7qxw','ELnr5B3mjQWPfcGNRFedGKiFvxP_ac2w3k5xm1GbxB4','','Ann','person','V-N9gIXowR_hvgttmzpDcg--vxkW1DsJBa-3woVkvHE',1,1795265594076);
INSERT INTO "invitation" VALUES(2,'i_lL97AzgyqJQ-WP_swDE1_Q','c_-qXMw8xLXIE_5y-U8e7qxw','c23PFvH4qzGqEN4zQ37kF3W31q0bi5uvjM_5hUzEuCw','','Ben','person','dLeiDm6IBVWK4SAQyRk-HYJhXdCrJp-F1BgmLbwtlIo',2,1795265594163);
INSERT INTO "invitation" VALUES(3,'i_mbwSEAQM8t-SUoIHBFduGA','c_-qXMw8xLXIE_5y-U8e7qxw','QxQf15QtP8G0NAdm8yGvt71RDWOQaYMNnVwXobPEkn0','','Nobody yet','person','',0,1795265594215);
INSERT INTO "invitation" VALUES(4,'i_0QSSeoCULCa4asO6WjIbqQ','c_ec12NUuLr9vFHW6ruKVFYA','wtJWf61AuB6fA9qJMASPwZUed-E0ErNHHWzTQarqwEA','','Cid','person','j2oyY7jRak1LquJtFLfJ9iXuFVAluTnmwCH83o_lzV4',1,1795265594286);
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
INSERT INTO "invitee" VALUES(1,'v_mCKUW4O1ylPx7eNgD-nXnA','c_-qXMw8xLXIE_5y-U8e7qxw','alice@example.org','','','','member','person');
INSERT INTO "invitee" VALUES(2,'v_pEPQh1oTEuZzD3FFaCTRmw','c_-qXMw8xLXIE_5y-U8e7qxw','','','','staff','member','person');
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
INSERT INTO "member" VALUES(1,'m_vfUUL7cBM6K8_fUHtpdZ2g','c_-qXMw8xLXIE_5y-U8e7qxw','https://localhost:59131','i__LB8EC0PebP-c4IrNc2sOQ','','Ann','person','member','V-N9gIXowR_hvgttmzpDcg--vxkW1DsJBa-3woVkvHE','i__LB8EC0PebP-c4IrNc2sOQ',1,851800220,3454278435,NULL,2,1,1795265594130,1795265609130);
INSERT INTO "member" VALUES(2,'m_bK2NY6klK_hXlDdaGwS27w','c_-qXMw8xLXIE_5y-U8e7qxw','https://localhost:59131','i_lL97AzgyqJQ-WP_swDE1_Q','','Ben','person','member','dLeiDm6IBVWK4SAQyRk-HYJhXdCrJp-F1BgmLbwtlIo','i_lL97AzgyqJQ-WP_swDE1_Q',3,3347396604,4035474415,NULL,1,1,1795265594202,1795265609202);
INSERT INTO "member" VALUES(3,'m_QnMfhBwEczsVece5HTCAYg','c_ec12NUuLr9vFHW6ruKVFYA','https://localhost:59131','i_0QSSeoCULCa4asO6WjIbqQ','','Cid','person','member','j2oyY7jRak1LquJtFLfJ9iXuFVAluTnmwCH83o_lzV4','i_0QSSeoCULCa4asO6WjIbqQ',2,4154994572,4187327510,NULL,1,1,1795265594324,1795265609324);
CREATE TABLE replay (
	hash       TEXT PRIMARY KEY,
	until_s    INTEGER NOT NULL      -- forgotten after that
) STRICT, WITHOUT ROWID;
INSERT INTO "replay" VALUES('FtLghW3X51vx6Hg66aE5f9pEIfKpcI8Fit9Q7pIprGw',1795265715);
INSERT INTO "replay" VALUES('G2dapF5YQTP-8tXV3Eo_Gt79Kv_X_sZqrV--3b9fjYw',1795265715);
INSERT INTO "replay" VALUES('H351q79u8rAT3I74ejwzW30uJ-oGF0NBxh5OtZUddHk',1795265715);
INSERT INTO "replay" VALUES('JHsGhir9jnbSTR4xhjI31uzK1InmjNciGGtjfUVCDVw',1795265715);
INSERT INTO "replay" VALUES('NRxm_35dpQ4piHR5bxUFXEyl3n51g54Zpbs5xazgKSU',1795265715);
INSERT INTO "replay" VALUES('Q-kOny2EO10qWvDNQ91LGv-PgvbjxP4Q8hy0yjXvQSQ',1795265715);
INSERT INTO "replay" VALUES('QxXaZ_SiBrFOMr4-8mY6QOqRd3Rkh1MiVbArptwD9wE',1795265715);
INSERT INTO "replay" VALUES('a_1ir9lwXR5Y_ba-Cw-qt1eeLcIIyQWzZuMR92XtbTE',1795265715);
INSERT INTO "replay" VALUES('fDVuGq6VHgGxnqTCd9NAkUL3SYwCEntq-pj__43acv8',1795265715);
INSERT INTO "replay" VALUES('gp2qtn5UYwT2ekTtBrIlFOKi4JJUrPXJUgN4D4OqMTM',1795265715);
INSERT INTO "replay" VALUES('h6YWBz4kmC1y5yKq_V3MCCA0R_YanYYbRirEW9Gnqdk',1795265715);
INSERT INTO "replay" VALUES('oFUKwRDvr3UPqs6KQ81mQdLFf_O9T_nHGKzWVJH2vDI',1795265715);
INSERT INTO "replay" VALUES('qUDQk5uGH4kTFuxVw3rZfxrVw1IwS1AVtXY4euHjAss',1795265715);
INSERT INTO "replay" VALUES('r_1KFNdJqkinoVU0-hjaTEUVJux071_Mce4M96GGFo4',1795265715);
INSERT INTO "replay" VALUES('xOyniELT8SXeuF9dLhWKmidJYipiVsnjXlEdybUul10',1795265715);
INSERT INTO "replay" VALUES('xza6_FcC_YDyTDaoYBGGwrvQeVV7wCEIn7wkkKK90GA',1795265715);
INSERT INTO "replay" VALUES('zhnsx93JvtUceeU_oSJuDONlykYGsmjfqdhktcLCz2A',1795266194);
CREATE TABLE signing_key (
	kid        TEXT PRIMARY KEY,     -- RFC 7638 thumbprint
	use        TEXT NOT NULL CHECK (use IN ('token', 'statement')),
	public_jwk TEXT NOT NULL,        -- as published in the JWKS
	sealed_jwk BLOB NOT NULL,        -- private JWK, by the root key, aad kid
	created_ms INTEGER NOT NULL,
	retired_ms INTEGER NOT NULL DEFAULT 0 -- 0: signs; else published only
) STRICT, WITHOUT ROWID;
INSERT INTO "signing_key" VALUES('RHEJlu7CIF53azHBbdvb11Yo2MJ3W2t3n9Pvzkv4jLU','statement','{"crv":"P-256","kty":"EC","x":"4luQHXtJWkv2dBcsH3hHzC8bfRPMLCGeWnYcYxMEPV0","y":"2XMMifY8vc0oJQCNuSGB3IT8cOGgbr8qIJ58AHnZx0s","kid":"RHEJlu7CIF53azHBbdvb11Yo2MJ3W2t3n9Pvzkv4jLU","use":"sig","alg":"ES256","perch_use":"statement"}',X'174408FEF1D1C04864CB44967B78910FB0674EB50CAB6992E8867A9DE0648831169D6555512B1154F37FAA0C432D47661ADC2410F53C4026438353A9AFA0AD29AEDD16633424E16220C3AC2C76548C0B03A6A3ED99268A5ECB71DB73693067526B7E46CDC8645F67A8536A4106EEAD42D81EAE599FB7F0644051BEB163612CD031FA9F3DE979A9EDF432ECF134E668DF3D41E15B7D63D3C021C938A1BA0D80534C40E09E59FD904132DAD87AE14BAB7199489E28DD1E0027B8A74BD5D9988B4A16AB50B7C43488740151835B',1795265593911,0);
INSERT INTO "signing_key" VALUES('j-nzF6sHLhyPVtUd-RCzi4LhjTEvp0aBNbd85tB9bV8','token','{"crv":"P-256","kty":"EC","x":"4WJ3C8eAmKREb4A8DT7mrIZZAwoiRKWvoKsklpsJdXs","y":"l3iZbapC7fCrhipceTar8TS89NqcXgcDSoTQfrZLer4","kid":"j-nzF6sHLhyPVtUd-RCzi4LhjTEvp0aBNbd85tB9bV8","use":"sig","alg":"ES256","perch_use":"token"}',X'B381A969BF311640A032E356DCD2CB5AA023743DDA8DD676975BFA54EFFEF423AE72739D27FE323A10DEABB520BEA1AB8E01AC9D3F6EA81533534401D46B0F55E64784F09ED9DF6A54171C4856C9D47A2D3CFCD1B665CCBC6F25E591FDC2B2E7CE28928A17841054652C3F2B6ACB44ADD1FE36D17203CF4952ADDD516BF4B5CEC244CD14A3C7A6D91DCE0DC99E46DD5CE8B6A047F35FBC8193BD7F03803F0A10B649F7270E965FFA4EB075533139322360CD7BC33A90F75252093F7A182900FB223BA1310E7A8454AAE7753E',1795265593911,0);
CREATE TABLE ssrc (
	conference TEXT NOT NULL REFERENCES conference (id) ON DELETE CASCADE,
	ssrc       INTEGER NOT NULL CHECK (ssrc BETWEEN 1 AND 4294967295),
	PRIMARY KEY (conference, ssrc)
) STRICT, WITHOUT ROWID;
INSERT INTO "ssrc" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',851800220);
INSERT INTO "ssrc" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',3347396604);
INSERT INTO "ssrc" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',3454278435);
INSERT INTO "ssrc" VALUES('c_-qXMw8xLXIE_5y-U8e7qxw',4035474415);
INSERT INTO "ssrc" VALUES('c_ec12NUuLr9vFHW6ruKVFYA',4154994572);
INSERT INTO "ssrc" VALUES('c_ec12NUuLr9vFHW6ruKVFYA',4187327510);
CREATE INDEX conference_due ON conference (due_ms) WHERE due_ms > 0;
CREATE INDEX invitee_conference ON invitee (conference);
CREATE INDEX invitation_conference ON invitation (conference);
CREATE INDEX member_state ON member (conference, state);
CREATE INDEX replay_until ON replay (until_s);
COMMIT;
