/*
 * Questions to the kernel by rtnetlink.
 *
 * RTM_GETROUTE for the address itself: what is ours has a route of type local
 * (also without an own interface entry, as all of 127.0.0.0/8), which goes in
 * the instant the address is deleted, and which ip_nonlocal_bind and default
 * routes do not touch.
 *
 * IPv6 addresses get their local route before duplicate address detection is
 * over and keep it when that fails, so RTM_GETADDR is asked for their state
 * first; an address that is on no interface may still have a local route.
 *
 * The kernel answers while the question is being sent, so waiting for the
 * answer is no wait; a receive time-out keeps a broken kernel from stopping
 * us. Every doubt is "not local": mail waits rather than leave from a wrong
 * address.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "shape/netcheck.h"

struct netlink {
	struct netcheck nc; /* first: a netcheck is its netlink */
	int fd;
	uint32_t seq;
};

/* A question, and room for its one attribute. */
struct question {
	struct nlmsghdr nh;
	union {
		struct rtmsg rt;
		struct ifaddrmsg ifa;
	} u;
	uint8_t room[RTA_LENGTH(16)];
};

/* Room for one datagram of answers, aligned as they are. */
union answer {
	struct nlmsghdr nh;
	uint8_t room[8192];
};

/* Append the attribute `type` with the octets of an address. */
static void
question_add(struct question *q, unsigned short type, const uint8_t *p,
    size_t n)
{
	uint32_t at = NLMSG_ALIGN(q->nh.nlmsg_len);
	struct rtattr rta = { (unsigned short)RTA_LENGTH(n), type };
	uint8_t *to = (uint8_t *)q + at;

	memcpy(to, &rta, sizeof(rta));
	memcpy(to + RTA_LENGTH(0), p, n);
	q->nh.nlmsg_len = at + (uint32_t)RTA_LENGTH(n);
}

/*
 * Send q and receive until its answer. The answer's header, or NULL: an
 * error, among them "no such address" and "no route".
 */
static const struct nlmsghdr *
netlink_ask(struct netlink *nl, struct question *q, union answer *ans)
{
	const struct nlmsghdr *nh;
	ssize_t n;

	q->nh.nlmsg_flags = NLM_F_REQUEST;
	q->nh.nlmsg_seq = ++nl->seq;
	if (send(nl->fd, q, q->nh.nlmsg_len, 0) != (ssize_t)q->nh.nlmsg_len)
		return (NULL);
	for (;;) {
		n = recv(nl->fd, ans, sizeof(*ans), 0);
		nh = &ans->nh;
		if (n < (ssize_t)sizeof(*nh) || nh->nlmsg_len > (size_t)n)
			return (NULL);
		if (nh->nlmsg_seq == nl->seq)
			return (nh->nlmsg_type == NLMSG_ERROR ? NULL : nh);
	}
}

/* Does the kernel route this destination to itself? */
static bool
netlink_routed_here(struct netlink *nl, int family, const uint8_t *p, size_t n)
{
	struct question q;
	union answer ans;
	const struct nlmsghdr *nh;
	struct rtmsg rt;

	memset(&q, 0, sizeof(q));
	q.nh.nlmsg_len = NLMSG_LENGTH(sizeof(q.u.rt));
	q.nh.nlmsg_type = RTM_GETROUTE;
	q.u.rt.rtm_family = (unsigned char)family;
	q.u.rt.rtm_dst_len = (unsigned char)(n * 8);
	question_add(&q, RTA_DST, p, n);
	nh = netlink_ask(nl, &q, &ans);
	if (nh == NULL || nh->nlmsg_type != RTM_NEWROUTE ||
	    nh->nlmsg_len < NLMSG_LENGTH(sizeof(rt)))
		return (false);
	memcpy(&rt, (const uint8_t *)nh + NLMSG_HDRLEN, sizeof(rt));
	return (rt.rtm_type == RTN_LOCAL);
}

/* The flags of an interface address; IFA_FLAGS has more than eight. */
static uint32_t
netlink_flags(const struct nlmsghdr *nh)
{
	const uint8_t *p = (const uint8_t *)nh + NLMSG_HDRLEN;
	struct ifaddrmsg ifa;
	size_t left = nh->nlmsg_len - NLMSG_LENGTH(sizeof(ifa));
	struct rtattr rta;
	uint32_t flags;

	memcpy(&ifa, p, sizeof(ifa));
	flags = ifa.ifa_flags;
	p += NLMSG_ALIGN(sizeof(ifa));
	while (left >= sizeof(rta)) {
		memcpy(&rta, p, sizeof(rta));
		if (rta.rta_len < sizeof(rta) || rta.rta_len > left)
			break;
		if (rta.rta_type == IFA_FLAGS &&
		    rta.rta_len >= RTA_LENGTH(sizeof(flags)))
			memcpy(&flags, p + RTA_LENGTH(0), sizeof(flags));
		if (RTA_ALIGN(rta.rta_len) > left)
			break;
		p += RTA_ALIGN(rta.rta_len);
		left -= RTA_ALIGN(rta.rta_len);
	}
	return (flags);
}

/* Is this IPv6 address on an interface, but not usable (yet)? */
static bool
netlink_unready(struct netlink *nl, const uint8_t *p)
{
	struct question q;
	union answer ans;
	const struct nlmsghdr *nh;
	uint32_t flags;

	memset(&q, 0, sizeof(q));
	q.nh.nlmsg_len = NLMSG_LENGTH(sizeof(q.u.ifa));
	q.nh.nlmsg_type = RTM_GETADDR;
	q.u.ifa.ifa_family = AF_INET6;
	q.u.ifa.ifa_prefixlen = 128;
	question_add(&q, IFA_ADDRESS, p, 16);
	nh = netlink_ask(nl, &q, &ans);
	if (nh == NULL || nh->nlmsg_type != RTM_NEWADDR ||
	    nh->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
		return (false);
	flags = netlink_flags(nh);
	return ((flags & IFA_F_DADFAILED) != 0 ||
	    (flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == IFA_F_TENTATIVE);
}

static bool
netlink_local(struct netcheck *nc, const struct sockaddr *sa)
{
	struct netlink *nl = (struct netlink *)nc;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		/* The kernel takes 0.0.0.0 for itself. */
		return (in.sin_addr.s_addr != INADDR_ANY &&
		    netlink_routed_here(nl, AF_INET,
			(const uint8_t *)&in.sin_addr, 4));
	}
	if (sa->sa_family != AF_INET6)
		return (false);
	memcpy(&in6, sa, sizeof(in6));
	if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr) ||
	    IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		return (false);
	return (!netlink_unready(nl, in6.sin6_addr.s6_addr) &&
	    netlink_routed_here(nl, AF_INET6, in6.sin6_addr.s6_addr, 16));
}

static int
netlink_list(struct netcheck *nc, netcheck_each *each, void *arg)
{
	struct ifaddrs *all, *i;

	(void)nc;
	if (getifaddrs(&all) == -1)
		return (-1);
	for (i = all; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    (i->ifa_addr->sa_family == AF_INET ||
			i->ifa_addr->sa_family == AF_INET6))
			each(arg, i->ifa_addr);
	freeifaddrs(all);
	return (0);
}

static void
netlink_free(struct netcheck *nc)
{
	struct netlink *nl = (struct netlink *)nc;

	(void)close(nl->fd);
	free(nl);
}

struct netcheck *
netcheck_new(struct verr *err)
{
	struct timeval tv = { .tv_sec = 1 };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct netlink *nl;
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1 ||
	    connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) == -1) {
		(void)verr_sys(err, "netlink");
		if (fd != -1)
			(void)close(fd);
		return (NULL);
	}
	nl = xcalloc(1, sizeof(*nl));
	nl->fd = fd;
	nl->nc.local = netlink_local;
	nl->nc.list = netlink_list;
	nl->nc.free = netlink_free;
	return (&nl->nc);
}

bool
source_local(void *netcheck, const struct sockaddr *sa)
{
	struct netcheck *nc = netcheck;

	return (nc->local(nc, sa));
}
