/*
 * What is kept between runs.
 *
 *	state/dns	answers (dns/cache.c), whose key is a hash of the name
 *			servers: other servers may know other names
 *	state/brake	the domains asked for last (dns/brake.c)
 *	state/dns.lock	locked while either is replaced
 *
 * Workers share the files: each adds what it learnt to what is there, at its
 * end and every five minutes. Neither is synced. One that is damaged, or of
 * another version, is told once and replaced; nothing of it is used.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "dns/brake.h"
#include "dns/cache.h"
#include "dns/unbound.h"
#include "run/bouncer.h"
#include "run/resolve.h"
#include "run/worker.h"

#define RESOLVE_SAVE_MS 300000
#define RESOLVE_CACHE_MAX ((size_t)128 * 1024 * 1024)
#define RESOLVE_BRAKE_MAX ((size_t)64 * 1024)
#define RESOLVE_SERVERS 16
#define RESOLVE_CANARIES 16
#define RESOLVE_KEY 17 /* 64 bits in hex, and a NUL */

struct resolve {
	struct dns_cache *cache; /* NULL: sys->resolver is not ours */
	char key[RESOLVE_KEY];	 /* of the name servers */
	struct stat seen;	 /* state/dns, as it was read or written last */
	int64_t next_save;
};

/* The file that names the system's servers; it may be a link. */
static void
resolve_system(struct worker *w, struct buf *ret_text)
{
	char text[4096];
	ssize_t n;
	int fd;

	fd = w->sys->openat(w->sys, AT_FDCWD, "/etc/resolv.conf",
	    O_RDONLY | O_CLOEXEC, 0);
	if (fd == -1)
		return;
	n = sys_pread_all(w->sys, fd, text, sizeof(text), 0);
	if (n > 0)
		buf_add(ret_text, text, (size_t)n);
	(void)w->sys->close(w->sys, fd);
}

/* What the answers depend on: the servers, or the system's file of them. */
static void
resolve_key(struct worker *w, const char *const *server, size_t n,
    char ret_key[RESOLVE_KEY])
{
	struct buf b = BUF_INIT;
	size_t i;

	for (i = 0; i < n; i++)
		buf_addf(&b, "%s\n", server[i]);
	if (n == 0)
		resolve_system(w, &b);
	(void)snprintf(ret_key, RESOLVE_KEY, "%016" PRIx64,
	    map_hash(buf_str(&b), b.len));
	buf_release(&b);
}

/* The configured servers; how many. */
static size_t
resolve_servers(struct worker *w, const char *server[RESOLVE_SERVERS])
{
	const struct conf_list *l = &conf_global(w->conf)->name_server;
	const char *item = NULL;
	size_t n = 0;

	while (n < RESOLVE_SERVERS && (item = conf_list_next(l, item)) != NULL)
		server[n++] = item;
	return (n);
}

/* --- files -----------------------------------------------------------------
 */

/* Tell what is wrong with a file of ours; one that is missing is not. */
static void
resolve_complain(const char *file, struct verr *err)
{
	(void)verr_prefix(err, "state/%s is not used", file);
	log_event(LOG_LV_WARN, "dns-state", "text", err->text, NULL);
}

/* Is state/dns another file than the one we know? */
static bool
resolve_is_new(struct worker *w, struct stat *ret_st)
{
	const struct stat *old = &w->resolve->seen;

	if (w->sys->fstatat(w->sys, w->spool->state_fd, "dns", ret_st,
		AT_SYMLINK_NOFOLLOW) == -1)
		return (false);
	return (ret_st->st_ino != old->st_ino ||
	    ret_st->st_size != old->st_size ||
	    ret_st->st_mtim.tv_sec != old->st_mtim.tv_sec ||
	    ret_st->st_mtim.tv_nsec != old->st_mtim.tv_nsec);
}

/* Take in what others, or an earlier run, have written. */
static void
resolve_load_cache(struct worker *w)
{
	struct resolve *rs = w->resolve;
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	struct stat st;

	if (rs->cache == NULL || !resolve_is_new(w, &st))
		return;
	rs->seen = st;
	if (file_read(w->sys, w->spool->state_fd, "dns", RESOLVE_CACHE_MAX, &b,
		&err) == -1 ||
	    dns_cache_parse(rs->cache, rs->key, &b, &err) == -1)
		resolve_complain("dns", &err);
	buf_release(&b);
}

/* tell: what is wrong with it. */
static void
resolve_load_brake(struct worker *w, bool tell)
{
	struct buf b = BUF_INIT;
	struct verr err = VERR_INIT;
	int rc;

	rc = file_read(w->sys, w->spool->state_fd, "brake", RESOLVE_BRAKE_MAX,
	    &b, &err);
	if (rc == 0)
		rc = dns_brake_parse(dns_brake(w->dns), b.p, sys_now(w->sys),
		    &err);
	else if (errno == ENOENT)
		rc = 0;
	if (rc == -1 && tell)
		resolve_complain("brake", &err);
	buf_release(&b);
}

static void
resolve_write(struct worker *w, const char *file, const struct buf *b)
{
	struct verr err = VERR_INIT;

	if (file_write_fast(w->sys, w->spool->state_fd, file, b->p, b->len,
		&err) == -1)
		log_err(&err);
}

/* Both files, while they are locked. */
static void
resolve_write_all(struct worker *w)
{
	struct resolve *rs = w->resolve;
	struct buf b = BUF_INIT;

	if (rs->cache != NULL && dns_cache_changed(rs->cache)) {
		resolve_load_cache(w);
		dns_cache_format(rs->cache, rs->key, &b);
		resolve_write(w, "dns", &b);
		(void)resolve_is_new(w, &rs->seen);
		buf_clear(&b);
	}
	if (dns_brake_changed(dns_brake(w->dns))) {
		resolve_load_brake(w, false);
		dns_brake_format(dns_brake(w->dns), sys_now(w->sys), &b);
		resolve_write(w, "brake", &b);
	}
	buf_release(&b);
}

/* wait: for another worker that is at it; else try again later. */
static void
resolve_save(struct worker *w, bool wait)
{
	struct verr err = VERR_INIT;
	int fd, rc;

	fd = w->sys->openat(w->sys, w->spool->state_fd, "dns.lock",
	    O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd == -1) {
		(void)verr_sys(&err, "open state/dns.lock");
		log_err(&err);
		return;
	}
	do {
		rc = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
	} while (rc == -1 && errno == EINTR);
	if (rc == 0)
		resolve_write_all(w);
	(void)w->sys->close(w->sys, fd);
}

/* --- a worker's life -------------------------------------------------------
 */

/* The brake went on, or off. */
static void
resolve_on_brake(void *arg, const char *why)
{
	struct worker *w = arg;

	log_event(LOG_LV_WARN, "dns-brake", "state", why != NULL ? "on" : "off",
	    "text", why, NULL);
	if (why != NULL)
		bouncer_brake(w);
	w->resolve->next_save = 0;
}

/* The names that surely exist. */
static void
resolve_canaries(struct worker *w)
{
	const struct conf_global *g = conf_global(w->conf);
	const char *name[RESOLVE_CANARIES], *item = NULL;
	size_t n = 0;

	while (n < RESOLVE_CANARIES &&
	    (item = conf_list_next(&g->dns_canary, item)) != NULL)
		name[n++] = strcmp(item, "host-name") == 0 ? g->host_name :
							     item;
	dns_set_canary(w->dns, name, n);
}

/* Begin with r (NULL: sys->resolver is there already) and what was kept. */
static void
resolve_begin(struct worker *w, struct resolver *r, const char *key)
{
	struct resolve *rs = xcalloc(1, sizeof(*rs));

	w->resolve = rs;
	memcpy(rs->key, key, sizeof(rs->key));
	if (r != NULL) {
		rs->cache = dns_cache_new(w->sys, r, 0);
		w->sys->resolver = dns_cache_resolver(rs->cache);
	}
	w->dns = dns_new(w->loop, w->sys, "/etc/hosts");
	dns_set_watch(w->dns, resolve_on_brake, w);
	resolve_canaries(w);
	resolve_load_cache(w);
	resolve_load_brake(w, true);
	rs->next_save = loop_now(w->loop) + RESOLVE_SAVE_MS;
}

int
resolve_open(struct worker *w, struct verr *err)
{
	const char *server[RESOLVE_SERVERS];
	size_t n = resolve_servers(w, server);
	struct resolver *r = NULL;
	char key[RESOLVE_KEY];

	resolve_key(w, server, n, key);
	if (w->sys->resolver == NULL) {
		r = dns_unbound_new(w->loop, server, n, err);
		if (r == NULL)
			return (-1);
	}
	resolve_begin(w, r, key);
	return (0);
}

void
resolve_close(struct worker *w)
{
	struct resolve *rs = w->resolve;

	if (w->dns != NULL)
		resolve_save(w, true);
	dns_free(w->dns);
	w->dns = NULL;
	if (rs != NULL && rs->cache != NULL) {
		w->sys->resolver->free(w->sys->resolver);
		w->sys->resolver = NULL;
	}
	free(rs);
	w->resolve = NULL;
}

void
resolve_reload(struct worker *w)
{
	const char *server[RESOLVE_SERVERS];
	size_t n = resolve_servers(w, server);
	struct verr err = VERR_INIT;
	struct resolver *r = NULL;
	char key[RESOLVE_KEY];

	resolve_key(w, server, n, key);
	if (strcmp(key, w->resolve->key) == 0) {
		resolve_canaries(w);
		return;
	}
	if (w->resolve->cache != NULL &&
	    (r = dns_unbound_new(w->loop, server, n, &err)) == NULL) {
		log_err(&err); /* those that were asked so far are asked on */
		return;
	}
	resolve_close(w);
	resolve_begin(w, r, key);
}

void
resolve_tick(struct worker *w)
{
	if (loop_now(w->loop) < w->resolve->next_save)
		return;
	w->resolve->next_save = loop_now(w->loop) + RESOLVE_SAVE_MS;
	resolve_save(w, false);
}
