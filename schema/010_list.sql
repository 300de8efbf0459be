-- SPDX-License-Identifier: Apache-2.0
-- A page of a list costs the same whatever it is filtered by.
CREATE INDEX conference_state ON conference (state);
CREATE INDEX conference_owner ON conference (created_by);
CREATE INDEX conference_owner_state ON conference (created_by, state);
CREATE INDEX conference_starts ON conference (starts_ms);
