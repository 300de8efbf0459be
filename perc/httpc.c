/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's side of the HTTPS client. libcurl forbids most of its own calls
 * from inside its callbacks, and our callers want to start and cancel
 * requests exactly there. So nothing of theirs runs while libcurl is on the
 * stack: its callbacks only gather octets, and httpc_drain() hands them out
 * after libcurl has returned.
 */
#include "perc/httpc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perc/httpc_int.h"
#include "perc/secret.h"

#define IDLE_MS_DEFAULT	 45000
#define MAX_BODY_DEFAULT (1u << 20)

static void
req_unlink(struct perc_httpc_req *r)
{
	struct perc_httpc_req **p = &r->client->reqs;

	while (*p != NULL && *p != r)
		p = &(*p)->next;
	if (*p == r)
		*p = r->next;
	perc_timer_stop(r->client->loop, &r->idle);
	if (r->easy != NULL)
		curl_multi_remove_handle(r->client->multi, r->easy);
}

void
httpc_req_free(struct perc_httpc_req *r)
{
	httpc_easy_close(r);
	perc_wipe(r, sizeof(*r));
	free(r);
}

/* r is over: tell, then free. The callback may have freed the client. */
static void
req_report(struct perc_httpc_req *r)
{
	struct perc_httpc_answer a = { 0 };
	long status = 0;

	r->reporting = true;
	if (curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status) ==
	    CURLE_OK)
		r->status = (int)status;
	httpc_outcome(r, &a);
	req_unlink(r);
	a.status = r->status;
	a.body = r->buf.p != NULL ? r->buf.p : "";
	a.len = r->buf.len;
	a.req = r;
	r->done(&a, r->arg);
	perc_wipe(&a, sizeof(a));
	httpc_req_free(r);
}

static bool
has_octets(const struct perc_httpc_req *r)
{
	return r->on_data != NULL && r->buf.len > 0 && r->status / 100 == 2;
}

/* Give one stream its octets; they are taken off first, since on_data may
 * end its own request. */
static void
req_feed(struct perc_httpc_req *r)
{
	const struct perc_httpc *c = r->client;
	struct httpc_buf b = r->buf;

	memset(&r->buf, 0, sizeof(r->buf));
	if (r->on_data(b.p, b.len, r->arg) != 0 && !c->dead) {
		r->err = PERC_ERR_CLOSED;
		r->finished = true;
	}
	httpc_buf_clear(&b);
}

static struct perc_httpc_req *
find_ready(struct perc_httpc *c)
{
	struct perc_httpc_req *r = c->reqs;

	while (r != NULL && !has_octets(r) && !r->finished)
		r = r->next;
	return r;
}

/* Run callbacks until no request has anything to say; the list is walked
 * from its head each time because they may change it. */
void
httpc_drain(struct perc_httpc *c)
{
	struct perc_httpc_req *r;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
			(char **)&r) != CURLE_OK)
			continue;
		r->code = m->data.result;
		r->finished = true;
	}
	c->draining = true;
	while (!c->dead && (r = find_ready(c)) != NULL) {
		if (has_octets(r) && r->err == 0)
			req_feed(r);
		else
			req_report(r);
	}
	c->draining = false;
	if (c->dead)
		free(c);
}

static void
on_timer(void *arg)
{
	struct perc_httpc *c = arg;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	httpc_drain(c);
}

static void
on_ready(int fd, uint32_t events, void *arg)
{
	struct perc_httpc *c = arg;
	int running, mask = 0;

	if (events & (EPOLLIN | EPOLLHUP))
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	curl_multi_socket_action(c->multi, fd, mask, &running);
	httpc_drain(c);
}

static int
on_want_timer(CURLM *multi, long ms, void *arg)
{
	struct perc_httpc *c = arg;

	if (ms >= 0)
		return perc_timer_set(c->loop, &c->timer, ms, on_timer, c);
	perc_timer_stop(c->loop, &c->timer);
	return 0;
}

static int
on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *iop)
{
	struct perc_httpc *c = arg;
	struct perc_io *io = iop;
	uint32_t ev = 0;

	if (what == CURL_POLL_REMOVE) {
		perc_loop_del(io);
		curl_multi_assign(c->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		ev |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev |= EPOLLOUT;
	if (io != NULL)
		return perc_loop_mod(io, ev);
	if (perc_loop_add(c->loop, &io, fd, ev, on_ready, c) != 0)
		return -1;
	curl_multi_assign(c->multi, fd, io);
	return 0;
}

static void
on_idle(void *arg)
{
	struct perc_httpc_req *r = arg;

	r->err = PERC_ERR_TIMEOUT;
	r->finished = true;
	httpc_drain(r->client);
}

void
httpc_idle_touch(struct perc_httpc_req *r)
{
	if (r->on_data != NULL &&
	    perc_timer_set(r->client->loop, &r->idle, r->idle_ms, on_idle, r) !=
		0)
		r->err = PERC_ERR_NOMEM;
}

static int
conf_copy(struct perc_httpc *c, const struct perc_httpc_conf *conf)
{
	c->connect_ms = conf->connect_ms != 0 ? conf->connect_ms : 5000;
	c->total_ms = conf->total_ms != 0 ? conf->total_ms : 15000;
	c->max_body = conf->max_body != 0 ? conf->max_body : MAX_BODY_DEFAULT;
	c->loopback_http = conf->loopback_http;
	c->refuse_metadata = conf->refuse_metadata;
	c->open_socket = conf->open_socket;
	c->open_arg = conf->open_arg;
	if ((conf->ca_file != NULL &&
		(c->ca_file = strdup(conf->ca_file)) == NULL) ||
	    (conf->user_agent != NULL &&
		(c->user_agent = strdup(conf->user_agent)) == NULL))
		return PERC_ERR_NOMEM;
	return 0;
}

int
perc_httpc_new(struct perc_httpc **cp, struct perc_loop *l,
    const struct perc_httpc_conf *conf)
{
	struct perc_httpc *c = NULL;
	int r;

	if ((r = httpc_global_init()) != 0)
		return r;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return PERC_ERR_NOMEM;
	c->loop = l;
	if ((r = conf_copy(c, conf)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	if ((c->multi = curl_multi_init()) == NULL ||
	    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION,
		on_want_socket) != CURLM_OK ||
	    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) != CURLM_OK ||
	    curl_multi_setopt(
		c->multi, CURLMOPT_TIMERFUNCTION, on_want_timer) != CURLM_OK ||
	    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) != CURLM_OK)
		goto out;
	*cp = c;
	c = NULL;
	r = 0;
out:
	perc_httpc_free(c);
	return r;
}

void
perc_httpc_free(struct perc_httpc *c)
{
	struct perc_httpc_req *r;

	if (c == NULL)
		return;
	while ((r = c->reqs) != NULL) {
		req_unlink(r);
		httpc_req_free(r);
	}
	if (c->multi != NULL)
		curl_multi_cleanup(c->multi);
	perc_timer_stop(c->loop, &c->timer);
	free(c->ca_file);
	free(c->user_agent);
	c->dead = true;
	if (!c->draining)
		free(c); /* else httpc_drain() still looks at it, and frees */
}

static int
req_fill(struct perc_httpc_req *r, const char *method, const char *url,
    const char *const headers[], const void *body, size_t len)
{
	int e;

	if ((e = httpc_url_check(r, url)) != 0)
		return e;
	if (body != NULL) {
		if ((r->body = malloc(len + 1)) == NULL)
			return PERC_ERR_NOMEM;
		memcpy(r->body, body, len);
		r->body_len = len;
	}
	return httpc_easy_open(r, method, url, headers);
}

int
httpc_run(struct perc_httpc_req *r)
{
	struct perc_httpc *c = r->client;

	if (curl_multi_add_handle(c->multi, r->easy) != CURLM_OK)
		return PERC_ERR_NOMEM;
	r->next = c->reqs;
	c->reqs = r;
	return 0;
}

int
perc_httpc_start(struct perc_httpc *c, struct perc_httpc_req **rp,
    const char *method, const char *url, const char *const headers[],
    const void *body, size_t len, perc_httpc_data_fn on_data, unsigned idle_ms,
    perc_httpc_fn done, void *arg)
{
	struct perc_httpc_req *r;
	int e;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return PERC_ERR_NOMEM;
	r->client = c;
	r->on_data = on_data;
	r->idle_ms = idle_ms != 0 ? idle_ms : IDLE_MS_DEFAULT;
	r->done = done;
	r->arg = arg;
	if ((e = req_fill(r, method, url, headers, body, len)) != 0)
		goto out;
	httpc_idle_touch(r);
	if ((e = r->err) != 0)
		goto out;
	if ((e = httpc_run(r)) != 0)
		goto out;
	if (rp != NULL)
		*rp = r;
	return 0;
out:
	perc_timer_stop(c->loop, &r->idle);
	httpc_req_free(r);
	return e;
}

/* Within its own done callback a request is over anyway. */
void
perc_httpc_cancel(struct perc_httpc_req *r)
{
	if (r == NULL || r->reporting)
		return;
	req_unlink(r);
	httpc_req_free(r);
}

const char *
perc_httpc_header(
    const struct perc_httpc_req *r, const char *name, unsigned *count)
{
	const char *value = NULL;
	unsigned n = 0;

	for (unsigned i = 0; r != NULL && i < r->nfields; i++)
		if (strcasecmp(r->fields[i].name, name) == 0 && n++ == 0)
			value = r->fields[i].value;
	if (count != NULL)
		*count = n;
	return value;
}

struct once {
	perc_httpc_fn done;
	void *arg;
	bool over;
};

static void
once_done(const struct perc_httpc_answer *a, void *arg)
{
	struct once *o = arg;

	o->done(a, o->arg);
	o->over = true;
}

int
perc_httpc_once(const struct perc_httpc_conf *conf, const char *method,
    const char *url, const char *const headers[], const void *body, size_t len,
    perc_httpc_fn done, void *arg)
{
	struct once o = { .done = done, .arg = arg };
	struct perc_loop *l = NULL;
	struct perc_httpc *c = NULL;
	int r;

	if ((r = perc_loop_new(&l)) != 0 ||
	    (r = perc_httpc_new(&c, l, conf)) != 0 ||
	    (r = perc_httpc_start(c, NULL, method, url, headers, body, len,
		 NULL, 0, once_done, &o)) != 0)
		goto out;
	while (r == 0 && !o.over)
		r = perc_loop_turn(l, -1);
out:
	perc_httpc_free(c);
	perc_loop_free(l);
	return r;
}
