/*
 * What a session tells about itself, line by line, to the owner's trace():
 * for log-connections, log-commands, log-data and `vmta-runq --trace`. After
 * QUIT the owner is gone, so nothing is told.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smtp/conn_int.h"

#define TRACE_ADDR 64

/* Is anybody listening? */
static bool
trace_on(const struct smtp_conn *c)
{
	return (c->ev->trace != NULL && c->state != SMTP_S_QUIT &&
	    c->state != SMTP_S_DEAD);
}

void
smtp_conn_trace(struct smtp_conn *c, char dir, const char *p, size_t n)
{
	if (trace_on(c))
		c->ev->trace(c->arg, c, dir, p, n);
}

void
smtp_conn_trace_note(struct smtp_conn *c, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	if (!c->set.log_connections || !trace_on(c))
		return;
	va_start(ap, fmt);
	buf_addvf(&b, fmt, ap);
	va_end(ap);
	smtp_conn_trace(c, '*', b.p, b.len);
	buf_release(&b);
}

/* An address as `192.0.2.1` or `2001:db8::1`, and its port. */
static const char *
trace_addr(const struct sockaddr_storage *sa, char buf[TRACE_ADDR],
    unsigned *ret_port)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	*ret_port = 0;
	buf[0] = '\0';
	if (sa->ss_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		(void)inet_ntop(AF_INET, &sin.sin_addr, buf, TRACE_ADDR);
		*ret_port = ntohs(sin.sin_port);
	} else if (sa->ss_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		(void)inet_ntop(AF_INET6, &sin6.sin6_addr, buf, TRACE_ADDR);
		*ret_port = ntohs(sin6.sin6_port);
	}
	return (buf);
}

void
smtp_conn_trace_connect(struct smtp_conn *c)
{
	char to[TRACE_ADDR], from[TRACE_ADDR];
	unsigned port, none;

	if (!c->set.log_connections)
		return;
	(void)trace_addr(&c->target.peer, to, &port);
	(void)trace_addr(&c->source.addr, from, &none);
	smtp_conn_trace_note(c, "connecting to %s [%s]:%u from [%s] as %s",
	    c->target.host, to, port, from, c->source.ehlo);
}

void
smtp_conn_trace_reply(struct smtp_conn *c, const struct smtp_reply *r)
{
	const char *p = buf_str(&r->text), *end = p + r->text.len, *lf;
	struct buf b = BUF_INIT;

	if (!c->set.log_commands || !trace_on(c))
		return;
	do {
		lf = memchr(p, '\n', (size_t)(end - p));
		buf_clear(&b);
		buf_addf(&b, "%d%c", r->code, lf != NULL ? '-' : ' ');
		buf_add(&b, p, (size_t)((lf != NULL ? lf : end) - p));
		smtp_conn_trace(c, '<', b.p, b.len);
		p = lf != NULL ? lf + 1 : end;
	} while (lf != NULL);
	buf_release(&b);
}
