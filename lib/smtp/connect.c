/*
 * Socket, bind, connect. The source address is bound before connect, always;
 * IP_BIND_ADDRESS_NO_PORT leaves the choice of the port to connect, so that
 * one address can have more connections than ports. IP_FREEBIND is never set:
 * an address that is not on this machine is an error here, and nobody's
 * else's fault.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <string.h>

#include "smtp/conn_int.h"

#define CONNECT_UNSENT 16384 /* octets */

/*
 * The errors of a connect call that the network made, not this machine. What
 * the kernel answers at once otherwise (no route, no free port, no memory, a
 * local filter) is local.
 */
static bool
connect_is_remote(int errnum)
{
	return (errnum == ECONNREFUSED || errnum == ECONNRESET ||
	    errnum == ETIMEDOUT);
}

/*
 * Options that only make things better: an error of theirs does not count. The
 * kernel takes little that it cannot send yet, so that a peer that stops
 * reading is seen before its message seems to be sent.
 */
static void
connect_options(int fd)
{
	int on = 1, unsent = CONNECT_UNSENT;

	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
	    sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
	    sizeof(unsent));
}

int
smtp_connect_begin(struct smtp_conn *c, bool *ret_now)
{
	const struct sockaddr *src, *peer;
	struct sys *sys = c->sys;

	*ret_now = false;
	src = (const struct sockaddr *)&c->source.addr;
	peer = (const struct sockaddr *)&c->target.peer;
	c->fd = sys->socket(sys, peer->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		smtp_conn_set_fault(c, SMTP_BLAME_LOCAL, errno, "socket");
		return (-1);
	}
	connect_options(c->fd);
	if (sys->bind(sys, c->fd, src, c->source.addr_len) != 0) {
		smtp_conn_set_fault(c,
		    errno == EADDRNOTAVAIL ? SMTP_BLAME_SOURCE :
					     SMTP_BLAME_LOCAL,
		    errno, "bind to the source address");
		return (-1);
	}
	if (sys->connect(sys, c->fd, peer, c->target.peer_len) == 0) {
		*ret_now = true;
		return (0);
	}
	if (errno == EINPROGRESS || errno == EINTR)
		return (0);
	smtp_conn_set_fault(c,
	    connect_is_remote(errno) ? SMTP_BLAME_PEER : SMTP_BLAME_LOCAL,
	    errno, "connect");
	return (-1);
}

int
smtp_connect_result(struct smtp_conn *c)
{
	socklen_t len = sizeof(int);
	int errnum = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0)
		return (errno);
	return (errnum);
}
