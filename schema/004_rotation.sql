-- SPDX-License-Identifier: Apache-2.0
-- Rotation of the signing keys: the next one is published before it signs. A
-- retired row keeps its public key and loses the private one.
ALTER TABLE signing_key ADD COLUMN
	active_ms INTEGER NOT NULL DEFAULT 0; -- signs from then on
