/*
 * Sockets, epoll and timers of the sink. A connection that waits for a delay
 * is not read; structs of closed connections are used again, `gen` tells
 * timers of an earlier use. Concurrency is counted as the client sees it:
 * before a new maximum is believed, connections that the other side has
 * closed already are taken out (so one that left before it was greeted may be
 * missed, but none is counted that was not open at the same time).
 */
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "sink.h"

#define SCRATCH ((size_t)256 * 1024)
#define DRAIN_MS 5000

/* Longest timers last. */
static int
timer_cmp(const void *a, const void *b)
{
	const struct timer *x = a, *y = b;

	return ((x->at > y->at) - (x->at < y->at));
}

void
net_init(struct sink *s)
{
	heap_init(&s->timers, sizeof(struct timer), timer_cmp);
	s->scratch = xmalloc(SCRATCH);
}

/* The counters of a name, made when new. */
static struct peer *
peer_get(struct map *m, const char *name)
{
	struct peer *p = map_get(m, name);

	if (p == NULL) {
		p = xcalloc(1, sizeof(*p));
		p->name = xstrdup(name);
		(void)map_put(m, name, p);
	}
	return (p);
}

/* The client has left: it no longer counts as open. */
static void
uncount(struct sink *s, struct conn *c)
{
	if (!c->counted)
		return;
	c->counted = false;
	c->src->now--;
	c->local->now--;
	s->nopen--;
}

/* Uncount those whose other side has closed, though we did not read it yet. */
static void
reap(struct sink *s)
{
	struct tcp_info ti;
	struct conn *c;
	socklen_t len;

	for (c = s->open; c != NULL; c = c->next) {
		len = sizeof(ti);
		if (c->counted &&
		    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0 &&
		    ti.tcpi_state != TCP_ESTABLISHED)
			uncount(s, c);
	}
}

/* Count a new connection. */
static void
count(struct sink *s, struct conn *c)
{
	c->counted = true;
	s->conns++;
	c->src->conns++;
	c->local->conns++;
	c->src->now++;
	c->local->now++;
	s->nopen++;
	if (s->nopen <= s->max_open && c->src->now <= c->src->max &&
	    c->local->now <= c->local->max && !s->exact)
		return;
	if (s->nopen <= 2000)
		reap(s);
	if (s->nopen > s->max_open)
		s->max_open = s->nopen;
	if (c->src->now > c->src->max)
		c->src->max = c->src->now;
	if (c->local->now > c->local->max)
		c->local->max = c->local->now;
}

/* Take a struct for a new connection. */
static struct conn *
conn_new(struct sink *s, int fd)
{
	struct conn *c = s->spare;

	if (c != NULL)
		s->spare = c->next;
	else
		c = xcalloc(1, sizeof(*c));
	c->kind = IS_CONN;
	c->fd = fd;
	c->id = ++s->next_id;
	c->paused = c->sync = c->grouped = c->drained = c->ehlo_ok = false;
	c->chunk_bad = false;
	c->end = END_NO;
	c->how = NULL;
	c->offered = 0;
	c->msgs = 0;
	c->out_ready = 0;
	c->verb = "";
	buf_clear(&c->in);
	buf_clear(&c->out);
	buf_clear(&c->helo);
	txn_reset(&c->t);
	c->prev = NULL;
	c->next = s->open;
	if (s->open != NULL)
		s->open->prev = c;
	s->open = c;
	return (c);
}

/* Close and record; the struct becomes spare. */
static void
conn_close(struct sink *s, struct conn *c, const char *how)
{
	char n[24];

	uncount(s, c);
	(void)snprintf(n, sizeof(n), "%" PRIu64, c->msgs);
	record_begin(s, "close", c);
	record_field(s, "how", c->how != NULL ? c->how : how);
	record_field(s, "msgs", n);
	record_end(s);
	(void)close(c->fd);
	c->gen++;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->open = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->next = s->spare;
	s->spare = c;
}

static void
set_timer(struct sink *s, struct conn *c, int64_t ms)
{
	struct timer t = { .at = s->now + ms, .c = c, .gen = c->gen };

	heap_push(&s->timers, &t);
}

void
net_pause(struct sink *s, struct conn *c, int64_t ms)
{
	c->paused = true;
	set_timer(s, c, ms);
}

/* All is said: end the connection as was judged. False: it is closed. */
static bool
finish(struct sink *s, struct conn *c)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };

	switch (c->end) {
	case END_NO:
		return (true);
	case END_DRAIN:
		if (!c->drained) {
			c->drained = true;
			(void)shutdown(c->fd, SHUT_WR);
			uncount(s, c);
			set_timer(s, c, DRAIN_MS);
		}
		return (true);
	case END_RST:
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &rst,
		    sizeof(rst));
		break;
	case END_CLOSE:
		break;
	}
	conn_close(s, c, "drop");
	return (false);
}

/* Write what may be written. False: the connection is closed. */
static bool
flush(struct sink *s, struct conn *c)
{
	ssize_t n;
	size_t len = c->out_ready;

	if (s->dribble > 0 && len > s->dribble)
		len = (size_t)s->dribble;
	if (len > 0) {
		if (s->sync_log)
			record_flush(s);
		n = send(c->fd, c->out.p, len, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN && errno != EINTR) {
			conn_close(s, c, "reset");
			return (false);
		}
		if (n > 0) {
			buf_consume(&c->out, (size_t)n);
			c->out_ready -= (size_t)n;
		}
	}
	if (c->out_ready > 0 || c->paused)
		return (true);
	return (finish(s, c));
}

/* Watch for what c needs now. */
static void
watch(struct sink *s, struct conn *c)
{
	struct epoll_event ev;

	ev.events = c->paused ? EPOLLRDHUP : EPOLLIN;
	if (c->out_ready > 0)
		ev.events |= EPOLLOUT;
	if (ev.events == c->events)
		return;
	c->events = ev.events;
	ev.data.ptr = c;
	(void)epoll_ctl(s->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Go on with what was held back. */
static void
conn_go_on(struct sink *s, struct conn *c)
{
	if (c->in.len > 0 && !c->paused && c->end == END_NO)
		buf_consume(&c->in, session_input(s, c, c->in.p, c->in.len));
	if (flush(s, c))
		watch(s, c);
}

/* Begin with an accepted socket. */
static void
conn_start(struct sink *s, int fd, const struct sockaddr_storage *from)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct conn *c = conn_new(s, fd);
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);
	char full[80], bare[64], port[8];
	uint16_t unused;
	int on = 1;

	memset(&here, 0, sizeof(here));
	(void)getsockname(fd, (struct sockaddr *)&here, &len);
	listen_name(&here, full, sizeof(full), bare, sizeof(bare), &unused);
	c->local = peer_get(&s->locals, full);
	listen_name(from, full, sizeof(full), bare, sizeof(bare), &c->port);
	c->src = peer_get(&s->sources, bare);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ev.data.ptr = c;
	c->events = ev.events;
	if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) == -1)
		abort();
	count(s, c);
	(void)snprintf(port, sizeof(port), "%u", c->port);
	record_begin(s, "connect", c);
	record_field(s, "src", c->src->name);
	record_field(s, "port", port);
	record_field(s, "local", c->local->name);
	record_end(s);
	session_greet(s, c);
	conn_go_on(s, c);
}

void
net_accept(struct sink *s, struct listener *l)
{
	struct sockaddr_storage from;
	socklen_t len;
	int fd;

	for (;;) {
		len = sizeof(from);
		memset(&from, 0, sizeof(from));
		fd = accept4(l->fd, (struct sockaddr *)&from, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			return;
		conn_start(s, fd, &from);
	}
}

/* Read once, and use it. */
static void
conn_read(struct sink *s, struct conn *c)
{
	ssize_t n = recv(c->fd, s->scratch, SCRATCH, 0);
	size_t used = 0;

	if (n <= 0) {
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		conn_close(s, c, n == 0 ? "eof" : "reset");
		return;
	}
	if (c->end != END_NO)
		return; /* draining */
	if (c->in.len == 0)
		used = session_input(s, c, s->scratch, (size_t)n);
	buf_add(&c->in, s->scratch + used, (size_t)n - used);
	if (used > 0) {
		if (flush(s, c))
			watch(s, c);
		return;
	}
	conn_go_on(s, c);
}

void
net_event(struct sink *s, struct conn *c, uint32_t events)
{
	if (c->paused && (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0) {
		c->how = NULL;
		conn_close(s, c, (events & EPOLLERR) != 0 ? "reset" : "eof");
		return;
	}
	if ((events & EPOLLOUT) != 0 && !flush(s, c))
		return;
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		conn_read(s, c);
	else
		watch(s, c);
}

int
net_wait(struct sink *s, int64_t limit)
{
	const struct timer *t = heap_top(&s->timers);
	int64_t ms = limit;

	if (t != NULL && t->at - s->now < ms)
		ms = t->at - s->now;
	return (ms > 0 ? (int)ms : 0);
}

void
net_timers(struct sink *s)
{
	const struct timer *top;
	struct timer t;
	int pending;

	while ((top = heap_top(&s->timers)) != NULL && top->at <= s->now) {
		heap_pop(&s->timers, &t);
		if (t.gen != t.c->gen)
			continue;
		if (t.c->drained) {
			conn_close(s, t.c, "drain");
			continue;
		}
		t.c->paused = false;
		t.c->out_ready = t.c->out.len;
		pending = 0;
		(void)ioctl(t.c->fd, FIONREAD, &pending);
		if ((t.c->in.len > 0 || pending > 0) &&
		    t.c->t.body != BODY_BDAT)
			session_group(s, t.c);
		conn_go_on(s, t.c);
	}
}

void
net_close_all(struct sink *s)
{
	struct listener *l;
	struct conn *c;

	while (s->open != NULL)
		conn_close(s, s->open, "stop");
	while ((c = s->spare) != NULL) {
		s->spare = c->next;
		buf_release(&c->in);
		buf_release(&c->out);
		buf_release(&c->helo);
		txn_release(&c->t);
		free(c);
	}
	while ((l = s->listeners) != NULL) {
		s->listeners = l->next;
		if (l->fd != -1)
			(void)close(l->fd);
		free(l->spec);
		free(l);
	}
	heap_release(&s->timers);
	free(s->scratch);
}
