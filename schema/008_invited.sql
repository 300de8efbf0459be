-- SPDX-License-Identifier: Apache-2.0
-- Whether somebody is invited is looked up, at each request for a key: it
-- costs the same for one invitee and a thousand, and for a conference that
-- does not exist. Each row stands in one of these alone.
CREATE INDEX invitee_email ON invitee (conference, email) WHERE email <> '';
CREATE INDEX invitee_sub ON invitee (conference, iss, sub) WHERE iss <> '';
CREATE INDEX invitee_domain ON invitee (conference, domain)
	WHERE domain <> '';
CREATE INDEX invitee_grp ON invitee (conference, grp) WHERE grp <> '';
