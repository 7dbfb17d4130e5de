/*
 * The library's calls: each is a frame to vmta-inject --serve
 * (submit/serve.h has them), gathered until one of them wants an answer. So a
 * message costs one exchange, however many recipients it has.
 *
 * Nothing of vmta's other code is in the host program: no memory is asked for
 * that could end it, and no spool is open in it. An error of the transport
 * breaks the submission off: what was not answered by then is not known to be
 * in the spool, which is what submit ids are for.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/pipe.h"
#include "api/vmta-submit.h"

#define OUT_SIZE 65536
#define FRAME_MAX (1u << 20) /* octets, as submit/serve.c has it */
#define HEAD_MAX 40

struct refused {
	unsigned long index;
	char *text;
};

struct vmta_submit {
	struct pipe_end pipe;
	int code; /* of the last call */
	char text[1024];
	int broken;	    /* every call fails, with this code, */
	char why[1024];	    /* and text */
	int failed;	    /* the message is refused: until its end, */
	char because[1024]; /* for this */
	char id[32];
	unsigned long count, n_refused;
	struct refused *refused;
	size_t n_kept, cap_kept;
	char *in;
	size_t n_in, cap_in;
	size_t n_out;
	char out[OUT_SIZE];
};

/* --- errors --------------------------------------------------------------- */

static int set(vmta_submit *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An error of this call; returns -1. */
static int
set(vmta_submit *s, int code, const char *fmt, ...)
{
	va_list ap;

	s->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
	return (-1);
}

/* The error that was set breaks the submission off. */
static int
break_off(vmta_submit *s)
{
	s->broken = s->code;
	memcpy(s->why, s->text, sizeof(s->why));
	return (-1);
}

/* The error that was set refuses the message. */
static int
refuse(vmta_submit *s)
{
	s->failed = s->code;
	memcpy(s->because, s->text, sizeof(s->because));
	return (-1);
}

/* A call begins: 0, or -1 when it can do nothing. */
static int
ready(vmta_submit *s)
{
	if (s == NULL)
		return (-1);
	s->code = VMTA_OK;
	s->text[0] = '\0';
	if (s->pipe.owner != getpid())
		return (set(s, VMTA_USAGE, "the handle is another process's"));
	if (s->broken != 0)
		return (set(s, s->broken, "%s", s->why));
	return (0);
}

int
vmta_code(const vmta_submit *s)
{
	return (s != NULL ? s->code : VMTA_TEMP);
}

const char *
vmta_error(const vmta_submit *s)
{
	return (s != NULL ? s->text : "no memory");
}

const char *
vmta_version(void)
{
	return (VMTA_VERSION);
}

/* --- frames --------------------------------------------------------------- */

/* Its process is gone, or out of reach (err: errno, 0: it hung up). */
static int
lost(vmta_submit *s, int err)
{
	char buf[200];

	if (err != 0 && err != EPIPE && err != ECONNRESET)
		(void)set(s, VMTA_IO, "vmta-inject: %s",
		    strerror_r(err, buf, sizeof(buf)));
	else
		(void)set(s, VMTA_TEMP, "vmta-inject has ended");
	return (break_off(s));
}

/* Room for the next answers. 0 or -1. */
static int
in_room(vmta_submit *s)
{
	char *p;

	if (s->cap_in - s->n_in >= 4096)
		return (0);
	if ((p = realloc(s->in, s->cap_in + 16384)) == NULL) {
		(void)set(s, VMTA_TEMP, "no memory");
		return (break_off(s));
	}
	s->in = p;
	s->cap_in += 16384;
	return (0);
}

/*
 * The answer that s->in begins with, if all of it is here: the octets that it
 * takes, 0 if not. Its key and text end in NUL afterwards.
 */
static size_t
in_frame(vmta_submit *s, char key[HEAD_MAX], char **ret_text)
{
	char *nl = memchr(s->in, '\n', s->n_in), *end;
	unsigned long n;
	size_t head;

	if (nl == NULL || nl - s->in >= HEAD_MAX)
		return (0);
	head = (size_t)(nl - s->in) + 1;
	memcpy(key, s->in, head - 1);
	key[head - 1] = '\0';
	if ((end = strchr(key, ' ')) == NULL)
		return (0);
	*end = '\0';
	n = strtoul(end + 1, NULL, 10);
	if (n > FRAME_MAX || s->n_in - head < n)
		return (0);
	*ret_text = nl + 1;
	return (head + n);
}

/* A recipient that was left out: `INDEX TEXT`. 0 or -1. */
static int
keep_refused(vmta_submit *s, const char *text, size_t n)
{
	struct refused *r = s->refused;
	const char *sp = memchr(text, ' ', n);

	if (s->n_kept == s->cap_kept) {
		r = realloc(r, (s->cap_kept + 64) * sizeof(*r));
		if (r == NULL)
			return (-1);
		s->refused = r;
		s->cap_kept += 64;
	}
	r = &s->refused[s->n_kept];
	r->index = strtoul(text, NULL, 10);
	sp = sp != NULL ? sp + 1 : text + n;
	if ((r->text = strndup(sp, n - (size_t)(sp - text))) == NULL)
		return (-1);
	s->n_kept++;
	return (0);
}

/* What came: 1: more has to; 0: `ok`, which text of n octets follows; -1. */
static int
take(vmta_submit *s, char *ret_text, size_t size)
{
	char key[HEAD_MAX], *text;
	size_t used, n;
	int rc = 1;

	while (rc == 1 && (used = in_frame(s, key, &text)) > 0) {
		n = used - (size_t)(text - s->in);
		if (strcmp(key, "refused") == 0) {
			if (keep_refused(s, text, n) == -1) {
				(void)set(s, VMTA_TEMP, "no memory");
				return (break_off(s));
			}
		} else {
			(void)snprintf(ret_text, size, "%.*s", (int)n, text);
			rc = strcmp(key, "ok") == 0 ? 0 : -1;
		}
		memmove(s->in, s->in + used, s->n_in - used);
		s->n_in -= used;
	}
	return (rc);
}

/* An answer `CODE TEXT`. */
static int
answer_error(vmta_submit *s, const char *text)
{
	char *end;
	long code = strtol(text, &end, 10);

	(void)set(s, code > 0 && code < 256 ? (int)code : VMTA_SOFTWARE, "%s",
	    *end == ' ' ? end + 1 : end);
	if (s->code == VMTA_DATA || s->code == VMTA_USAGE)
		return (-1);
	return (break_off(s));
}

/* Wait for an answer. 0 with its text, or -1. */
static int
answer(vmta_submit *s, char *text, size_t size)
{
	ssize_t k;
	int rc;

	while ((rc = take(s, text, size)) == 1) {
		if (in_room(s) == -1)
			return (-1);
		k = pipe_read(&s->pipe, s->in + s->n_in, s->cap_in - s->n_in);
		if (k <= 0)
			return (lost(s, k == -1 ? errno : 0));
		s->n_in += (size_t)k;
	}
	if (rc == 0 || s->broken != 0)
		return (rc);
	return (answer_error(s, text));
}

/* Octets to the other end. When it is gone, it may have said why. */
static int
write_out(vmta_submit *s, const char *p, size_t n)
{
	char text[1024];
	int err = pipe_write(&s->pipe, p, n);

	if (err == 0)
		return (0);
	if (err != EPIPE && err != ECONNRESET)
		return (lost(s, err));
	if (answer(s, text, sizeof(text)) == 0)
		return (lost(s, err));
	return (break_off(s));
}

static int
flush(vmta_submit *s)
{
	size_t n = s->n_out;

	s->n_out = 0;
	return (write_out(s, s->out, n));
}

/* Gather octets, or send them. 0 or -1. */
static int
put(vmta_submit *s, const char *p, size_t n)
{
	if (n > OUT_SIZE - s->n_out && flush(s) == -1)
		return (-1);
	if (n > OUT_SIZE)
		return (write_out(s, p, n));
	if (n > 0)
		memcpy(s->out + s->n_out, p, n);
	s->n_out += n;
	return (0);
}

/* A frame `KEY`: name, and, unless value is NULL, `=` and the value. */
static int
send_pair(vmta_submit *s, const char *key, const char *name, const char *value)
{
	size_t n = strlen(name);
	size_t all = n + (value != NULL ? strlen(value) + 1 : 0);
	char head[HEAD_MAX];

	if (all > FRAME_MAX) {
		(void)set(s, VMTA_DATA, "%s: over %u octets", key, FRAME_MAX);
		return (refuse(s));
	}
	(void)snprintf(head, sizeof(head), "%s %zu\n", key, all);
	if (put(s, head, strlen(head)) == -1 || put(s, name, n) == -1)
		return (-1);
	if (value == NULL)
		return (0);
	if (put(s, "=", 1) == -1)
		return (-1);
	return (put(s, value, all - n - 1));
}

/* A call inside of a message begins; given: what must not be NULL. */
static int
ready_part(vmta_submit *s, const char *key, const void *given)
{
	if (ready(s) == -1)
		return (-1);
	if (s->failed != 0)
		return (set(s, s->failed, "%s", s->because));
	if (given != NULL)
		return (0);
	(void)set(s, VMTA_USAGE, "%s: NULL", key);
	return (refuse(s));
}

/* A frame of a message. */
static int
part(vmta_submit *s, const char *key, const char *name, const char *value)
{
	if (ready_part(s, key, name) == -1 || name == NULL)
		return (-1);
	return (send_pair(s, key, name, value));
}

/* A frame, and its answer. */
static int
ask(vmta_submit *s, const char *key, const char *name, char *text, size_t size)
{
	if (send_pair(s, key, name, NULL) == -1 || flush(s) == -1)
		return (-1);
	return (answer(s, text, size));
}

/* --- the handle ----------------------------------------------------------- */

vmta_submit *
vmta_open(const char *program, const char *config)
{
	vmta_submit *s = calloc(1, sizeof(*s));
	char text[1024], buf[200];
	int err;

	if (s == NULL)
		return (NULL);
	err = pipe_open(&s->pipe, program, config);
	if (err != 0) {
		(void)set(s,
		    err == ENOENT || err == EACCES ? VMTA_CONFIG : VMTA_TEMP,
		    "cannot run vmta-inject: %s",
		    strerror_r(err, buf, sizeof(buf)));
		(void)break_off(s);
	} else if (answer(s, text, sizeof(text)) == -1) {
		(void)break_off(s);
	} else if (strcmp(text, "vmta-serve 1") != 0) {
		(void)set(s, VMTA_CONFIG, "vmta-inject: of another version");
		(void)break_off(s);
	}
	return (s);
}

/* What is known of the last message. */
static void
forget(vmta_submit *s)
{
	while (s->n_kept > 0)
		free(s->refused[--s->n_kept].text);
	s->count = s->n_refused = 0;
	s->failed = 0;
	s->id[0] = '\0';
}

void
vmta_close(vmta_submit *s)
{
	if (s == NULL)
		return;
	pipe_close(&s->pipe);
	forget(s);
	free(s->refused);
	free(s->in);
	free(s);
}

/* --- the calls ------------------------------------------------------------ */

int
vmta_submit_id(vmta_submit *s, const char *key)
{
	char text[1024];

	if (ready(s) == -1)
		return (-1);
	if (key == NULL)
		return (set(s, VMTA_USAGE, "submit id: NULL"));
	return (ask(s, "key", key, text, sizeof(text)));
}

int
vmta_one_commit(vmta_submit *s)
{
	if (ready(s) == -1)
		return (-1);
	return (send_pair(s, "whole", "", NULL));
}

/* A new message. */
static int
begin(vmta_submit *s, const char *key)
{
	if (ready(s) == -1)
		return (-1);
	forget(s);
	return (send_pair(s, key, "", NULL));
}

int
vmta_begin(vmta_submit *s)
{
	return (begin(s, "begin"));
}

int
vmta_begin_merge(vmta_submit *s)
{
	return (begin(s, "merge"));
}

int
vmta_drop(vmta_submit *s)
{
	return (begin(s, "drop"));
}

int
vmta_set(vmta_submit *s, const char *name, const char *value)
{
	return (part(s, "set", value != NULL ? name : NULL, value));
}

int
vmta_data(vmta_submit *s, const void *p, size_t n)
{
	const char *at = p;
	char head[HEAD_MAX];
	size_t k;
	int rc = ready_part(s, "data", n > 0 ? p : "");

	for (; rc == 0 && n > 0; at += k, n -= k) {
		k = n < OUT_SIZE ? n : OUT_SIZE;
		(void)snprintf(head, sizeof(head), "data %zu\n", k);
		rc = put(s, head, strlen(head));
		if (rc == 0)
			rc = put(s, at, k);
	}
	return (rc);
}

int
vmta_column(vmta_submit *s, const char *name)
{
	return (part(s, "column", name, NULL));
}

int
vmta_rcpt(vmta_submit *s, const char *address)
{
	return (part(s, "rcpt", address, NULL));
}

int
vmta_rcpt_set(vmta_submit *s, const char *name, const char *value)
{
	return (part(s, "rset", value != NULL ? name : NULL, value));
}

int
vmta_var(vmta_submit *s, const char *name, const char *value)
{
	return (part(s, "var", name, value));
}

/* `ACCEPTED REFUSED ID`. 0 or -1. */
static int
totals(vmta_submit *s, const char *text)
{
	char *end;

	s->count = strtoul(text, &end, 10);
	if (*end != ' ')
		return (-1);
	s->n_refused = strtoul(end + 1, &end, 10);
	if (*end != ' ')
		return (-1);
	(void)snprintf(s->id, sizeof(s->id), "%s", end + 1);
	return (0);
}

int
vmta_end(vmta_submit *s)
{
	char text[1024];
	int rc;

	if (ready(s) == -1)
		return (-1);
	if (s->failed != 0) {
		rc = s->failed;
		s->failed = 0;
		if (send_pair(s, "drop", "", NULL) == -1)
			return (-1);
		return (set(s, rc, "%s", s->because));
	}
	if (ask(s, "end", "", text, sizeof(text)) == -1) {
		s->n_refused = s->n_kept;
		return (-1);
	}
	if (totals(s, text) == -1) {
		(void)set(s, VMTA_SOFTWARE, "vmta-inject: not an answer");
		return (break_off(s));
	}
	if (s->n_refused == 0)
		return (0);
	(void)set(s, VMTA_PART, "%lu recipients were refused", s->n_refused);
	return (VMTA_PART);
}

int
vmta_commit(vmta_submit *s)
{
	char text[1024];

	if (ready(s) == -1)
		return (-1);
	return (ask(s, "commit", "", text, sizeof(text)));
}

const char *
vmta_id(const vmta_submit *s)
{
	return (s != NULL ? s->id : "");
}

unsigned long
vmta_count(const vmta_submit *s)
{
	return (s != NULL ? s->count : 0);
}

unsigned long
vmta_count_refused(const vmta_submit *s)
{
	return (s != NULL ? s->n_refused : 0);
}

const char *
vmta_refused(const vmta_submit *s, size_t i, unsigned long *ret_index)
{
	if (s == NULL || i >= s->n_kept)
		return (NULL);
	if (ret_index != NULL)
		*ret_index = s->refused[i].index;
	return (s->refused[i].text);
}
