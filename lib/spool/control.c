/*
 * Requests and replies (DESIGN, "Requests"): files that are renamed into
 * place, never changed. The asker removes what it asked and what it got. It
 * has an OFD lock on its request: one without is of a dead asker, and void, so
 * that nothing is done that nobody waits for; it is swept by age. Nothing is
 * synced: a request that a power failure takes is one whose asker is gone as
 * well.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/unit.h"
#include "spool/control.h"
#include "spool/list.h"
#include "spool/spool.h"
#include "spool/store.h"

#define CONTROL_MAX (64 * 1024 * 1024)
#define CONTROL_WORKER_MAX 64
#define CONTROL_NAME_MAX (ID_LEN + CONTROL_WORKER_MAX + 8)

/* ID.req, or ID.WORKER.rep. */
static const char *
control_name(const struct id *id, const char *worker,
    char buf[CONTROL_NAME_MAX])
{
	if (worker == NULL)
		(void)snprintf(buf, CONTROL_NAME_MAX, "%s.req", id->s);
	else
		(void)snprintf(buf, CONTROL_NAME_MAX, "%s.%s.rep", id->s,
		    worker);
	return (buf);
}

static bool
control_worker_valid(const char *s)
{
	size_t n = strlen(s);

	return (n > 0 && n <= CONTROL_WORKER_MAX &&
	    strspn(s,
		"0123456789abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == n);
}

/* The id that a name begins with, and what follows its dot; or NULL. */
static const char *
control_split(const char *name, struct id *ret_id)
{
	if (strlen(name) <= ID_LEN + 1 || name[ID_LEN] != '.')
		return (NULL);
	memcpy(ret_id->s, name, ID_LEN);
	ret_id->s[ID_LEN] = '\0';
	return (id_valid(ret_id->s) ? name + ID_LEN + 1 : NULL);
}

/* One line of text, as a value can be? */
static bool
control_text_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20)
			return (false);
	return (true);
}

/* The whole file, locked for writing (or asked whether it is). */
static struct flock
control_lock(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return (l);
}

/* The text of a request. 0 or -1. */
static int
control_text(const char *command, const char *const *option, size_t n,
    struct buf *ret_text, struct verr *err)
{
	size_t i;

	buf_addf(ret_text, "vmta-request 1\ncommand: %s\n", command);
	for (i = 0; i < n; i++) {
		if (!control_text_ok(option[i]))
			return (verr_set(err, VEX_DATA, "control byte in '%s'",
			    option[i]));
		buf_addf(ret_text, "option: %s\n", option[i]);
	}
	return (0);
}

/* The request, locked before it has its name. The descriptor, or -1. */
static int
control_write(struct spool *sp, const char *name, const struct buf *b,
    struct verr *err)
{
	struct flock l = control_lock();
	char tmp[CONTROL_NAME_MAX + 1];
	struct sys *sys = sp->sys;
	int fd, saved;

	(void)snprintf(tmp, sizeof(tmp), ".%s", name);
	fd = sys->openat(sys, sp->control_fd, tmp,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return (verr_sys(err, "create control/%s", tmp));
	if (sys_write_all(sys, fd, b->p, b->len) == 0 &&
	    fcntl(fd, F_OFD_SETLK, &l) == 0 &&
	    sys->renameat(sys, sp->control_fd, tmp, sp->control_fd, name) == 0)
		return (fd);
	saved = errno;
	(void)sys->unlinkat(sys, sp->control_fd, tmp, 0);
	(void)sys->close(sys, fd);
	errno = saved;
	return (verr_sys(err, "write control/%s", name));
}

int
control_ask(struct spool *sp, const char *command, const char *const *option,
    size_t n, struct id *ret_id, int *ret_fd, struct verr *err)
{
	char name[CONTROL_NAME_MAX];
	struct buf b = BUF_INIT;
	int rc;

	*ret_fd = -1;
	if (id_make(sp->sys, ret_id, err) == -1)
		return (-1);
	rc = control_text(command, option, n, &b, err);
	if (rc == 0) {
		*ret_fd = control_write(sp, control_name(ret_id, NULL, name),
		    &b, err);
		rc = *ret_fd == -1 ? -1 : 0;
	}
	buf_release(&b);
	return (rc);
}

/* Room for one more at the end of an array of n. */
static void *
control_more(void *p, size_t n, size_t size)
{
	/* doubles at powers of two */
	if ((n & (n - 1)) != 0)
		return (p);
	return (xreallocarray(p, n > 0 ? 2 * n : 1, size));
}

struct control_vmta *
control_reply_vmta(struct control_reply *rep, const char *vmta)
{
	struct control_vmta *v;

	rep->vmta = control_more(rep->vmta, rep->n_vmta, sizeof(*rep->vmta));
	v = &rep->vmta[rep->n_vmta++];
	*v = (struct control_vmta) { .name = xstrdup(vmta) };
	return (v);
}

void
control_reply_error(struct control_reply *rep, int code, const char *text)
{
	free(rep->error);
	rep->error = xstrdup(text);
	rep->code = code;
}

void
control_reply_flight(struct control_reply *rep, const char *queue,
    const char *msgid, uint32_t index)
{
	struct control_flight *f;

	rep->flight = control_more(rep->flight, rep->n_flight,
	    sizeof(*rep->flight));
	f = &rep->flight[rep->n_flight++];
	memset(f, 0, sizeof(*f));
	f->queue = xstrdup(queue);
	memcpy(f->msgid, msgid, strnlen(msgid, ID_LEN));
	f->index = index;
}

void
control_reply_release(struct control_reply *rep)
{
	size_t i;

	for (i = 0; i < rep->n_vmta; i++)
		free(rep->vmta[i].name);
	for (i = 0; i < rep->n_flight; i++)
		free(rep->flight[i].queue);
	free(rep->vmta);
	free(rep->flight);
	free(rep->error);
	*rep = (struct control_reply) { 0 };
}

/* `DOMAIN/VMTA MSGID INDEX`. */
static void
reply_flight(struct control_reply *rep, const char *value)
{
	char domain[SPOOL_DOMAIN_MAX + 1], vmta[SPOOL_VMTA_MAX + 1];
	const char *msgid = strchr(value, ' '), *index;
	char *queue, id[ID_LEN + 1];
	int64_t n;

	if (msgid == NULL || (index = strchr(msgid + 1, ' ')) == NULL ||
	    index - msgid != ID_LEN + 1 || unit_int(index + 1, &n) == -1 ||
	    n > UINT32_MAX)
		return;
	queue = xstrndup(value, (size_t)(msgid - value));
	memcpy(id, msgid + 1, ID_LEN);
	id[ID_LEN] = '\0';
	if (spool_queue_split(queue, domain, vmta) == 0 && id_valid(id))
		control_reply_flight(rep, queue, id, (uint32_t)n);
	free(queue);
}

/* `NAME MATCHED CHANGED`. */
static void
reply_vmta(struct control_reply *rep, const char *value)
{
	const char *matched = strchr(value, ' '), *changed;
	struct control_vmta *v;
	char *name, *number;
	int64_t m, c;

	if (matched == NULL || (changed = strchr(++matched, ' ')) == NULL)
		return;
	name = xstrndup(value, (size_t)(matched - 1 - value));
	number = xstrndup(matched, (size_t)(changed - matched));
	if (spool_vmta_valid(name) && unit_int(number, &m) == 0 &&
	    unit_int(changed + 1, &c) == 0) {
		v = control_reply_vmta(rep, name);
		v->matched = (uint64_t)m;
		v->changed = (uint64_t)c;
	}
	free(number);
	free(name);
}

/* `CODE TEXT`. */
static void
reply_error(struct control_reply *rep, const char *value)
{
	const char *text = strchr(value, ' ');
	int code = (int)strtol(value, NULL, 10);

	if (text != NULL && code > 0 && code < 128)
		control_reply_error(rep, code, text + 1);
}

/* A line of a reply, added to the others. */
static void
reply_line(void *arg, const char *key, const char *value)
{
	struct control_reply *rep = arg;

	if (strcmp(key, "vmta") == 0)
		reply_vmta(rep, value);
	else if (strcmp(key, "flight") == 0)
		reply_flight(rep, value);
	else if (strcmp(key, "error") == 0)
		reply_error(rep, value);
}

/* A walk over control/. */
struct walk {
	struct spool *sp;
	const struct id *id; /* of this request only */
	struct verr *err;
	bool failed;
	struct control_reply *sum;
	const char *worker;
	int (*cb)(void *arg, const struct control_request *rq);
	void *arg;
};

/* Is this a reply to the walk's request? */
static bool
walk_reply(const struct walk *w, const char *name)
{
	const char *rest;
	struct id id;
	size_t n;

	rest = control_split(name, &id);
	if (rest == NULL || strcmp(id.s, w->id->s) != 0)
		return (false);
	n = strlen(rest);
	return (n > 4 && strcmp(rest + n - 4, ".rep") == 0);
}

static int
collect_name(void *arg, const char *name)
{
	struct walk *w = arg;
	struct buf b = BUF_INIT;

	if (!walk_reply(w, name))
		return (0);
	if (file_read(w->sp->sys, w->sp->control_fd, name, CONTROL_MAX, &b,
		w->err) == -1)
		w->failed = errno != ENOENT;
	else if (b.len < 5 || memcmp(b.p + b.len - 5, "\nend\n", 5) != 0 ||
	    store_lines(&b, "vmta-reply 2", reply_line, w->sum) == -1)
		w->failed = verr_set(w->err, VEX_IO, "control/%s is damaged",
				name) == -1;
	buf_release(&b);
	return (w->failed ? -1 : 0);
}

int
control_collect(struct spool *sp, const struct id *id,
    struct control_reply *ret_sum, struct verr *err)
{
	struct walk w = { .sp = sp, .id = id, .err = err, .sum = ret_sum };

	*ret_sum = (struct control_reply) { 0 };
	if (spool_walk(sp, sp->control_fd, collect_name, &w, err) == 0)
		return (0);
	control_reply_release(ret_sum);
	return (-1);
}

static int
done_name(void *arg, const char *name)
{
	struct walk *w = arg;

	if (walk_reply(w, name) &&
	    w->sp->sys->unlinkat(w->sp->sys, w->sp->control_fd, name, 0) ==
		-1 &&
	    errno != ENOENT)
		return (verr_sys(w->err, "remove control/%s", name));
	return (0);
}

int
control_done(struct spool *sp, const struct id *id, int fd, struct verr *err)
{
	struct walk w = { .sp = sp, .id = id, .err = err };
	char name[CONTROL_NAME_MAX];

	(void)sp->sys->close(sp->sys, fd);
	/* the request first, so that nobody replies any more */
	if (sp->sys->unlinkat(sp->sys, sp->control_fd,
		control_name(id, NULL, name), 0) == -1 &&
	    errno != ENOENT)
		return (verr_sys(err, "remove control/%s", name));
	return (spool_walk(sp, sp->control_fd, done_name, &w, err));
}

static void
request_line(void *arg, const char *key, const char *value)
{
	struct control_request *rq = arg;

	if (strcmp(key, "command") == 0 && rq->command == NULL) {
		rq->command = xstrdup(value);
	} else if (strcmp(key, "option") == 0) {
		rq->option = control_more(rq->option, rq->n,
		    sizeof(*rq->option));
		rq->option[rq->n++] = xstrdup(value);
	}
}

static void
request_release(struct control_request *rq)
{
	size_t i;

	for (i = 0; i < rq->n; i++)
		free(rq->option[i]);
	free(rq->option);
	free(rq->command);
}

/* Is there a reply of this worker? */
static bool
request_answered(struct walk *w, const struct id *id)
{
	char name[CONTROL_NAME_MAX];
	struct stat st;

	return (w->sp->sys->fstatat(w->sp->sys, w->sp->control_fd,
		    control_name(id, w->worker, name), &st,
		    AT_SYMLINK_NOFOLLOW) == 0);
}

/* Does its asker live, who has it locked? */
static bool
request_alive(struct walk *w, const char *name)
{
	struct flock l = control_lock();
	struct sys *sys = w->sp->sys;
	bool alive = false;
	int fd;

	fd = sys->openat(sys, w->sp->control_fd, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -1)
		return (false);
	if (fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK)
		alive = true;
	(void)sys->close(sys, fd);
	return (alive);
}

static int
request_name(void *arg, const char *name)
{
	struct control_request rq = { .command = NULL };
	struct walk *w = arg;
	struct buf b = BUF_INIT;
	const char *rest;
	int rc = 0;

	rest = control_split(name, &rq.id);
	if (rest == NULL || strcmp(rest, "req") != 0 ||
	    request_answered(w, &rq.id) || !request_alive(w, name))
		return (0);
	if (file_read(w->sp->sys, w->sp->control_fd, name, CONTROL_MAX, &b,
		NULL) == 0 &&
	    store_lines(&b, "vmta-request 1", request_line, &rq) == 0 &&
	    rq.command != NULL)
		rc = w->cb(w->arg, &rq);
	request_release(&rq);
	buf_release(&b);
	return (rc);
}

int
control_requests(struct spool *sp, const char *worker,
    int (*cb)(void *arg, const struct control_request *rq), void *arg,
    struct verr *err)
{
	struct walk w = { .sp = sp,
		.worker = worker,
		.err = err,
		.cb = cb,
		.arg = arg };

	if (!control_worker_valid(worker))
		return (verr_set(err, VEX_SOFTWARE, "bad worker name '%s'",
		    worker));
	return (spool_walk(sp, sp->control_fd, request_name, &w, err));
}

int
control_answer(struct spool *sp, const struct id *id, const char *worker,
    const struct control_reply *rep, struct verr *err)
{
	char name[CONTROL_NAME_MAX];
	struct buf b = BUF_INIT;
	struct stat st;
	size_t i;
	int rc;

	if (!control_worker_valid(worker))
		return (verr_set(err, VEX_SOFTWARE, "bad worker name '%s'",
		    worker));
	if (sp->sys->fstatat(sp->sys, sp->control_fd,
		control_name(id, NULL, name), &st, AT_SYMLINK_NOFOLLOW) == -1)
		return (errno == ENOENT ? 0 : verr_sys(err, "stat %s", name));
	buf_adds(&b, "vmta-reply 2\n");
	for (i = 0; i < rep->n_vmta; i++)
		buf_addf(&b, "vmta: %s %" PRIu64 " %" PRIu64 "\n",
		    rep->vmta[i].name, rep->vmta[i].matched,
		    rep->vmta[i].changed);
	if (rep->error != NULL) {
		buf_addf(&b, "error: %d ", rep->code);
		esc_line(&b, rep->error, strlen(rep->error));
		buf_adds(&b, "\n");
	}
	for (i = 0; i < rep->n_flight; i++)
		buf_addf(&b, "flight: %s %s %lu\n", rep->flight[i].queue,
		    rep->flight[i].msgid, (unsigned long)rep->flight[i].index);
	buf_adds(&b, "end\n");
	rc = store_put(sp, sp->control_fd, control_name(id, worker, name), b.p,
	    b.len, false, err);
	buf_release(&b);
	return (rc);
}

int
control_sweep(struct spool *sp, int64_t before, struct verr *err)
{
	return (store_sweep(sp, sp->control_fd, before, err));
}
