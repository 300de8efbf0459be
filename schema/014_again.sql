-- SPDX-License-Identifier: Apache-2.0
-- Events given up are delivered again on request; series that are over are
-- looked at again until nothing is left of them (due_ms).
ALTER TABLE webhook_dead ADD COLUMN again_ms INTEGER NOT NULL DEFAULT 0; -- asked for then; 0: not
CREATE INDEX webhook_again ON webhook_dead (hook, seq) WHERE again_ms > 0;
UPDATE series SET due_ms = 1 WHERE state <> 0;
