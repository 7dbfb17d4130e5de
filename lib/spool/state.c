/*
 * The retry clock of each queue, and hosts that failed BDAT. Losing one of
 * these files in a power failure costs an early attempt, so they are replaced
 * in one step but not synced.
 *
 *	state/retry/VMTA/DOMAIN		vmta-retry 1, step, next, since,
 *					status, host, error
 *	state/nochunk/HOST		vmta-nochunk 1, until
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/esc.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "base/unit.h"
#include "spool/spool.h"
#include "spool/state.h"
#include "spool/store.h"

#define STATE_MAX (64 * 1024)
/* Octets of a text that are kept. */
#define STATE_TEXT_MAX 2048

/* state/retry/VMTA; fd or -1. make: when it is missing. */
static int
retry_dir(struct spool *sp, const char *vmta, const char *domain, bool make,
    struct verr *err)
{
	int fd, vfd;

	if (!spool_vmta_valid(vmta) || !spool_domain_valid(domain))
		return (verr_set(err, VEX_DATA, "bad queue %s/%s", domain,
		    vmta));
	if ((fd = store_dir(sp, "retry", err)) == -1)
		return (-1);
	vfd = make ? spool_dir_make(sp, fd, vmta, NULL, err) :
		     spool_dir(sp, fd, vmta, err);
	(void)sp->sys->close(sp->sys, fd);
	return (vfd);
}

/* The text of value; the one before is freed. */
static void
retry_text(char **text, const char *value)
{
	free(*text);
	*text = xstrdup(value);
}

static void
retry_line(void *arg, const char *key, const char *value)
{
	struct retry_state *st = arg;
	int64_t n;

	if (strcmp(key, "step") == 0 && unit_int(value, &n) == 0)
		st->step = n > INT32_MAX ? INT32_MAX : (unsigned int)n;
	else if (strcmp(key, "next") == 0)
		(void)stamp_parse_name(value, &st->next);
	else if (strcmp(key, "since") == 0)
		(void)stamp_parse_name(value, &st->since);
	else if (strcmp(key, "status") == 0)
		memcpy(st->status, value,
		    strnlen(value, sizeof(st->status) - 1));
	else if (strcmp(key, "host") == 0)
		retry_text(&st->host, value);
	else if (strcmp(key, "error") == 0)
		retry_text(&st->error, value);
}

bool
retry_state_any(struct spool *sp, const char *vmta)
{
	struct buf path = BUF_INIT;
	struct stat st;
	bool any;

	buf_addf(&path, "retry/%s", vmta);
	any = sp->sys->fstatat(sp->sys, sp->state_fd, buf_str(&path), &st,
		  AT_SYMLINK_NOFOLLOW) == 0 ||
	    errno != ENOENT;
	buf_release(&path);
	return (any);
}

int
retry_state_read(struct spool *sp, const char *vmta, const char *domain,
    struct retry_state *ret_st, struct verr *err)
{
	struct buf b = BUF_INIT;
	int fd, rc;

	*ret_st = (struct retry_state) { .escaped = true };
	fd = retry_dir(sp, vmta, domain, false, err);
	if (fd == -1)
		return (errno == ENOENT ? 1 : -1);
	rc = file_read(sp->sys, fd, domain, STATE_MAX, &b, err);
	/* a damaged one: as if the queue had not failed */
	if ((rc == -1 && errno == ENOENT) ||
	    (rc == 0 &&
		store_lines(&b, "vmta-retry 1", retry_line, ret_st) == -1))
		rc = 1;
	(void)sp->sys->close(sp->sys, fd);
	buf_release(&b);
	if (rc != 0)
		retry_state_release(ret_st);
	return (rc);
}

void
retry_state_release(struct retry_state *st)
{
	free(st->host);
	free(st->error);
	*st = (struct retry_state) { 0 };
}

/* `key: text`, escaped unless it is already, unless there is none. */
static void
retry_add(struct buf *b, const char *key, const char *text, bool escaped)
{
	if (text == NULL || *text == '\0')
		return;
	buf_addf(b, "%s: ", key);
	if (escaped)
		buf_adds(b, text);
	else
		esc_line(b, text, strnlen(text, STATE_TEXT_MAX));
	buf_addc(b, '\n');
}

int
retry_state_write(struct spool *sp, const char *vmta, const char *domain,
    const struct retry_state *st, struct verr *err)
{
	char next[STAMP_NAME_LEN + 1], since[STAMP_NAME_LEN + 1];
	struct buf b = BUF_INIT;
	int fd, rc;

	if ((fd = retry_dir(sp, vmta, domain, true, err)) == -1)
		return (-1);
	buf_addf(&b, "vmta-retry 1\nstep: %u\nnext: %s\nsince: %s\n", st->step,
	    stamp_name(st->next, next), stamp_name(st->since, since));
	retry_add(&b, "status", st->status, st->escaped);
	retry_add(&b, "host", st->host, st->escaped);
	retry_add(&b, "error", st->error, st->escaped);
	rc = store_put(sp, fd, domain, b.p, b.len, false, err);
	(void)sp->sys->close(sp->sys, fd);
	buf_release(&b);
	return (rc);
}

int
retry_state_remove(struct spool *sp, const char *vmta, const char *domain,
    struct verr *err)
{
	int fd, rc = 0;

	fd = retry_dir(sp, vmta, domain, false, err);
	if (fd == -1)
		return (errno == ENOENT ? 0 : -1);
	if (sp->sys->unlinkat(sp->sys, fd, domain, 0) == -1 && errno != ENOENT)
		rc = verr_sys(err, "remove state/retry/%s/%s", vmta, domain);
	(void)sp->sys->close(sp->sys, fd);
	return (rc);
}

/* A host name or address that is safe as a file name. */
static bool
nochunk_valid(const char *host)
{
	size_t n = strlen(host);

	return (n > 0 && n <= 253 && host[0] != '.' &&
	    strspn(host,
		"0123456789abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ-._:[]") == n);
}

static void
nochunk_line(void *arg, const char *key, const char *value)
{
	if (strcmp(key, "until") == 0)
		(void)stamp_parse_name(value, arg);
}

bool
state_nochunk(struct spool *sp, const char *host, int64_t now)
{
	struct buf b = BUF_INIT;
	int64_t until = 0;
	int fd;

	if (!nochunk_valid(host) ||
	    (fd = spool_dir(sp, sp->state_fd, "nochunk", NULL)) == -1)
		return (false);
	if (file_read(sp->sys, fd, host, STATE_MAX, &b, NULL) == -1 ||
	    store_lines(&b, "vmta-nochunk 1", nochunk_line, &until) == -1)
		until = 0;
	if (until != 0 && until <= now)
		(void)sp->sys->unlinkat(sp->sys, fd, host, 0);
	(void)sp->sys->close(sp->sys, fd);
	buf_release(&b);
	return (until > now);
}

int
state_nochunk_set(struct spool *sp, const char *host, int64_t until,
    struct verr *err)
{
	char at[STAMP_NAME_LEN + 1];
	struct buf b = BUF_INIT;
	int fd, rc;

	if (!nochunk_valid(host))
		return (verr_set(err, VEX_DATA, "bad host name '%s'", host));
	if ((fd = store_dir(sp, "nochunk", err)) == -1)
		return (-1);
	buf_addf(&b, "vmta-nochunk 1\nuntil: %s\n", stamp_name(until, at));
	rc = store_put(sp, fd, host, b.p, b.len, false, err);
	(void)sp->sys->close(sp->sys, fd);
	buf_release(&b);
	return (rc);
}
