/*
 * Queues from the outside: the names of batch files say how much is open and
 * when it is due, state/retry holds the queues' clocks, state/pauses the
 * pauses, and state/live.ID what each running worker wrote a moment ago (its
 * connections, and why a queue waits; files of ten seconds' age are of dead
 * workers), state/brake what the last run thought of DNS. Nothing is locked, so
 * numbers of one queue may be a moment apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/glob.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/unit.h"
#include "conf/conf.h"
#include "dns/brake.h"
#include "report/live.h"
#include "shape/netcheck.h"
#include "shape/source.h"
#include "spool/list.h"
#include "spool/spool.h"

/* Seconds after which a live file is no longer believed. */
#define LIVE_AGE 10
#define LIVE_MAX ((size_t)64 * 1024 * 1024)
#define BRAKE_MAX ((size_t)64 * 1024)

/* What a worker says of a queue. */
struct said {
	unsigned int conns;
	char *why; /* NULL: nothing */
};

struct live {
	struct spool *sp;
	const struct conf *conf;
	const struct report_filter *f;
	int64_t now;
	struct map said; /* domain/vmta -> struct said */
	struct pause_list *pauses;
	struct live_total total;
	char **vmta; /* names */
	size_t n_vmta;
	/* of the VirtualMTA at hand: */
	const char *name;
	bool no_source;	  /* none of its addresses is on this machine */
	struct map queue; /* domain -> struct live_queue */
	struct live_queue *cur;
	enum batch_area area;
	struct verr *err;
};

static void
said_free(void *arg)
{
	struct said *s = arg;

	free(s->why);
	free(s);
}

/* `DOMAIN/VMTA CONNECTIONS REASON` */
static void
said_line(struct live *l, char *line)
{
	char *conns = strchr(line, ' '), *why;
	struct said *s;
	int64_t n;

	if (conns == NULL || (why = strchr(conns + 1, ' ')) == NULL)
		return;
	*conns++ = '\0';
	*why++ = '\0';
	if (strcmp(line, "dns") == 0) {
		(void)snprintf(l->total.brake, LIVE_TEXT, "%s", why);
		return;
	}
	if (unit_int(conns, &n) == -1 || n > UINT_MAX)
		return; /* damaged */
	if ((s = map_get(&l->said, line)) == NULL) {
		s = xcalloc(1, sizeof(*s));
		(void)map_put(&l->said, line, s);
	}
	if (__builtin_add_overflow(s->conns, (unsigned int)n, &s->conns))
		s->conns = UINT_MAX;
	if (s->why == NULL && strcmp(why, "-") != 0)
		s->why = xstrdup(why);
}

/* A name in state/; live files are read. */
static int
said_file(void *arg, const char *name)
{
	struct live *l = arg;
	struct buf b = BUF_INIT;
	struct stat st;
	char *line, *rest;

	if (strncmp(name, "live.", 5) != 0 ||
	    l->sp->sys->fstatat(l->sp->sys, l->sp->state_fd, name, &st,
		AT_SYMLINK_NOFOLLOW) == -1 ||
	    st.st_mtime < l->now - LIVE_AGE)
		return (0);
	if (file_read(l->sp->sys, l->sp->state_fd, name, LIVE_MAX, &b, NULL) ==
	    0) {
		rest = b.p;
		line = strsep(&rest, "\n");
		if (strcmp(line, "vmta-live 1") == 0) {
			l->total.workers++;
			while ((line = strsep(&rest, "\n")) != NULL)
				said_line(l, line);
		}
	}
	buf_release(&b);
	return (0);
}

/* Without a worker: what the last one wrote of the brake. */
static void
brake_read(struct live *l)
{
	struct buf b = BUF_INIT;
	const char *why;

	if (l->total.workers > 0 ||
	    file_read(l->sp->sys, l->sp->state_fd, "brake", BRAKE_MAX, &b,
		NULL) == -1)
		return;
	why = dns_brake_reason(b.p, l->now);
	if (why != NULL)
		(void)snprintf(l->total.brake, LIVE_TEXT, "%s", why);
	buf_release(&b);
}

static void
queue_free(void *arg)
{
	struct live_queue *q = arg;

	free(q->domain);
	free(q);
}

/* A batch of the queue at hand. */
static int
on_batch(void *arg, const char *file, const struct batch_name *n)
{
	struct live *l = arg;
	struct live_queue *q = l->cur;
	int64_t made;

	(void)file;
	if (n == NULL)
		return (0);
	q->batches++;
	q->rcpts += n->open;
	q->bytes += n->bytes;
	made = id_time(&n->id);
	if (q->oldest == 0 || made < q->oldest)
		q->oldest = made;
	if (n->due >= BATCH_DUE_NEVER)
		q->held += n->open;
	else if (pause_match_name(l->pauses, q->domain, q->vmta, n))
		q->paused += n->open;
	else {
		if (n->due <= l->now)
			q->due += n->open;
		if (n->due < q->next)
			q->next = n->due;
	}
	return (0);
}

/* A domain directory of the VirtualMTA at hand. */
static int
on_domain(void *arg, const char *domain, bool foreign)
{
	struct live *l = arg;
	struct live_queue *q;

	if (foreign ||
	    (l->f->domain != NULL && !glob_domain(l->f->domain, domain)) ||
	    (l->f->queue != NULL && !glob_queue(l->f->queue, domain, l->name)))
		return (0);
	if ((q = map_get(&l->queue, domain)) == NULL) {
		q = xcalloc(1, sizeof(*q));
		q->domain = xstrdup(domain);
		q->vmta = l->name;
		q->next = INT64_MAX;
		(void)map_put(&l->queue, domain, q);
	}
	l->cur = q;
	return (spool_batches(l->sp, l->name, l->area, domain, on_batch, l,
	    l->err));
}

static int
on_vmta(void *arg, const char *name, bool foreign)
{
	struct live *l = arg;

	if (foreign || (l->f->vmta != NULL && !glob_name(l->f->vmta, name)))
		return (0);
	if ((l->n_vmta & (l->n_vmta - 1)) == 0)
		l->vmta = xreallocarray(l->vmta,
		    l->n_vmta == 0 ? 1 : l->n_vmta * 2, sizeof(*l->vmta));
	l->vmta[l->n_vmta++] = xstrdup(name);
	return (0);
}

/* Has the VirtualMTA no address that it could send from? */
static bool
no_source(const struct live *l, const char *name)
{
	const struct conf_vmta *v = l->conf != NULL ? conf_vmta(l->conf, name) :
						      NULL;
	struct netcheck *nc;
	struct source_set *set;
	struct verr err = VERR_INIT;
	bool none;

	if (v == NULL || (nc = netcheck_new(&err)) == NULL)
		return (false); /* cannot be said */
	set = source_set_new(nc, v->addr, v->naddr);
	none = source_usable(set) == 0;
	source_set_free(set);
	nc->free(nc);
	return (none);
}

/* In one word: what keeps it, or that nothing does. */
static const char *
queue_state(const struct live *l, const struct live_queue *q)
{
	if (l->conf != NULL && conf_vmta(l->conf, q->vmta) == NULL)
		return ("orphan");
	if (l->no_source)
		return ("no-source-address");
	if (pause_match(l->pauses, q->domain, q->vmta, NULL) ||
	    (q->paused > 0 && q->paused + q->held == q->rcpts))
		return ("paused");
	if (q->held == q->rcpts)
		return ("held");
	if (q->conns > 0)
		return ("active");
	if (q->has_retry && q->retry.next > l->now)
		return ("retry");
	return (q->due == 0 ? "deferred" : "ready");
}

static void
total_add(struct live_total *t, const struct live_queue *q)
{
	t->queues++;
	t->batches += q->batches;
	t->rcpts += q->rcpts;
	t->due += q->due;
	t->held += q->held;
	t->paused += q->paused;
	t->bytes += q->bytes;
	if (q->next < t->next)
		t->next = q->next;
	if (t->oldest == 0 || (q->oldest != 0 && q->oldest < t->oldest))
		t->oldest = q->oldest;
}

/* Look up the small states of a queue and hand it out. */
static int
queue_show(struct live *l, struct live_queue *q, live_cb *cb, void *arg,
    struct verr *err)
{
	char name[SPOOL_DOMAIN_MAX + SPOOL_VMTA_MAX + 2];
	struct said *said;
	int rc;

	if (q->batches == 0)
		return (0);
	(void)snprintf(name, sizeof(name), "%s/%s", q->domain, q->vmta);
	if ((said = map_get(&l->said, name)) != NULL) {
		q->conns = said->conns;
		q->why = said->why;
	}
	/* A clock that cannot be read is shown as none. */
	q->has_retry = retry_state_read(l->sp, q->vmta, q->domain, &q->retry,
			   NULL) == 0;
	q->state = queue_state(l, q);
	total_add(&l->total, q);
	rc = cb == NULL ? 0 : cb(arg, q, err);
	if (q->has_retry)
		retry_state_release(&q->retry);
	return (rc);
}

static int
queue_cmp(const void *a, const void *b)
{
	const struct live_queue *x = *(struct live_queue *const *)a;
	const struct live_queue *y = *(struct live_queue *const *)b;

	if (x->rcpts != y->rcpts)
		return (x->rcpts > y->rcpts ? -1 : 1);
	return (strcmp(x->domain, y->domain));
}

/* The queues of a VirtualMTA, most recipients first. */
static int
vmta_show(struct live *l, live_cb *cb, void *arg, struct verr *err)
{
	struct live_queue **q;
	size_t i = 0, n = 0;
	int rc;

	map_init(&l->queue);
	l->err = err;
	l->area = BATCH_NEW;
	rc = spool_domains(l->sp, l->name, l->area, on_domain, l, err);
	l->area = BATCH_CUR;
	if (rc == 0)
		rc = spool_domains(l->sp, l->name, l->area, on_domain, l, err);
	q = xcalloc(l->queue.n + 1, sizeof(struct live_queue *));
	while ((q[n] = map_next(&l->queue, &i, NULL)) != NULL)
		n++;
	if (n > 0) {
		l->total.vmtas++;
		qsort(q, n, sizeof(struct live_queue *), queue_cmp);
	}
	for (i = 0; i < n && rc == 0; i++)
		rc = queue_show(l, q[i], cb, arg, err);
	free(q);
	map_release(&l->queue, queue_free);
	return (rc);
}

static int
name_cmp(const void *a, const void *b)
{
	return (strcmp(*(char *const *)a, *(char *const *)b));
}

int
live_walk(struct spool *sp, const struct conf *conf,
    const struct report_filter *f, int64_t now, live_cb *cb, void *arg,
    struct live_total *ret_total, struct verr *err)
{
	struct live l = { .sp = sp, .conf = conf, .f = f, .now = now };
	size_t i;
	int rc;

	l.total.next = INT64_MAX;
	map_init(&l.said);
	rc = spool_walk(sp, sp->state_fd, said_file, &l, err);
	brake_read(&l);
	if (rc == 0)
		rc = pause_list_read(sp, &l.pauses, err);
	if (rc == 0)
		rc = spool_vmtas(sp, on_vmta, &l, err);
	if (rc == 0 && l.n_vmta > 0)
		qsort(l.vmta, l.n_vmta, sizeof(*l.vmta), name_cmp);
	for (i = 0; i < l.n_vmta; i++) {
		l.name = l.vmta[i];
		l.no_source = no_source(&l, l.name);
		if (rc == 0)
			rc = vmta_show(&l, cb, arg, err);
		free(l.vmta[i]);
	}
	free(l.vmta);
	pause_list_free(l.pauses);
	map_release(&l.said, said_free);
	if (ret_total != NULL)
		*ret_total = l.total;
	return (rc);
}
