/*
 * Where the sink listens: addresses as text, sockets, ports that the kernel
 * chooses.
 */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"

void
listen_name(const struct sockaddr_storage *ss, char *full, size_t fn,
    char *bare, size_t bn, uint16_t *ret_port)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;

	if (ss->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, bare, (socklen_t)bn);
		*ret_port = ntohs(in6->sin6_port);
		(void)snprintf(full, fn, "[%s]:%u", bare, *ret_port);
	} else {
		(void)inet_ntop(AF_INET, &in->sin_addr, bare, (socklen_t)bn);
		*ret_port = ntohs(in->sin_port);
		(void)snprintf(full, fn, "%s:%u", bare, *ret_port);
	}
}

/* `1.2.3.4:25`, `[::1]:25`; port `=`: that of the listener before. */
static int
addr_parse(const char *spec, const struct listener *before,
    struct sockaddr_storage *ss, socklen_t *len)
{
	struct addrinfo hints, *ai;
	const char *colon = strrchr(spec, ':'), *port;
	char host[64];

	if (colon == NULL)
		return (-1);
	port = colon + 1;
	if (strcmp(port, "=") == 0 && before != NULL)
		port = strrchr(before->name, ':') + 1;
	if (spec[0] == '[' && colon > spec && colon[-1] == ']')
		(void)snprintf(host, sizeof(host), "%.*s",
		    (int)(colon - spec - 2), spec + 1);
	else
		(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - spec),
		    spec);
	memset(&hints, 0, sizeof(hints));
	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
	hints.ai_socktype = SOCK_STREAM;
	if (getaddrinfo(host, port, &hints, &ai) != 0)
		return (-1);
	memcpy(ss, ai->ai_addr, ai->ai_addrlen);
	*len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return (0);
}

/* Bind and listen on one address. */
static int
listen_one(struct sink *s, struct listener *l, const struct listener *before,
    struct verr *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct sockaddr_storage ss;
	socklen_t len;
	uint16_t port;
	char bare[64];
	int on = 1;

	if (addr_parse(l->spec, before, &ss, &len) == -1)
		return (verr_set(err, VEX_USAGE, "not an address: %s",
		    l->spec));
	l->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (l->fd == -1)
		return (verr_sys(err, "socket"));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	if (bind(l->fd, (struct sockaddr *)&ss, len) == -1 ||
	    (!l->bind_only && listen(l->fd, 4096) == -1))
		return (verr_sys(err, "%s", l->spec));
	len = sizeof(ss);
	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) == -1)
		return (verr_sys(err, "getsockname"));
	listen_name(&ss, l->name, sizeof(l->name), bare, sizeof(bare), &port);
	l->kind = IS_LISTENER;
	ev.data.ptr = l;
	if (!l->bind_only &&
	    epoll_ctl(s->epfd, EPOLL_CTL_ADD, l->fd, &ev) == -1)
		return (verr_sys(err, "epoll_ctl"));
	return (0);
}

/*
 * All listeners. A port that the kernel chose for one address can be taken
 * on the next one (port `=`): then all of it is tried again.
 */
int
listen_open(struct sink *s, struct verr *err)
{
	struct listener *l, *before;
	int tries;

	for (tries = 0; tries < 50; tries++) {
		before = NULL;
		for (l = s->listeners; l != NULL; before = l, l = l->next)
			if (listen_one(s, l, before, err) == -1)
				break;
		if (l == NULL)
			return (0);
		if (err->err != EADDRINUSE || strstr(l->spec, ":=") == NULL)
			return (-1);
		for (l = s->listeners; l != NULL; l = l->next) {
			if (l->fd != -1)
				(void)close(l->fd);
			l->fd = -1;
		}
	}
	return (-1);
}
