# SPDX-License-Identifier: Apache-2.0
# A KMF, an MDD and one conference that lasts an hour: for tests of what comes
# after. People come as guests, each by a code of their own.
import time

from people import state
import stack
import world


class Meeting:
    def __init__(self, w, title, mdd=None, mdd_extra="", program=None,
                 policy=None, host="localhost"):
        """`program`: another perch-mdd than the one that was built."""
        self.w = w
        self.mdd = mdd or stack.Mdd(w)
        self.kmf = stack.Kmf(w, None, None, self.mdd.url, host=host).serve()
        self.mdd.configure(self.kmf, mdd_extra).serve(program)
        self.admin = self.kmf.admin()
        now = time.time()
        starts, ends = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
                        for t in (now, now + 3600))
        self.conf = self.admin.call("POST", "/v1/conferences", {
            "title": title, "starts_at": starts, "ends_at": ends,
            "invitees": [], "policy": policy or {}}).body

    def at(self, what):
        return f"/v1/conferences/{self.conf['id']}/{what}"

    def code(self, name):
        return self.admin.call("POST", self.at("invitations"),
                               {"name": name}).body["code"]

    def rekey(self):
        self.admin.call("POST", self.at("rekey"))

    def agent(self, name):
        return stack.Agent(self.w, name, None, self.kmf, self.mdd)

    def join(self, agent):
        agent.perch("join", self.conf["uri"], "--code",
                    self.code(agent.name))
        return agent

    def enter(self, name):
        """An agent of its own for this person, in the conference."""
        return self.join(self.agent(name).start())


def into(agent, media="audio"):
    """Where this person's application sends that."""
    return next(i for i in state(agent)["in"] if i["media"] == media)


def stream(at, name, media="audio", seconds=15):
    """The stream of `name` that comes out at that agent, once it does."""
    return world.wait_for(lambda: next(
        (s for s in state(at).get("out", [])
         if s["name"] == name and s["media"] == media), None), seconds,
        say=f"{media} of {name} at {at.name}")
