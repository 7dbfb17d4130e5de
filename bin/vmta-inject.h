/* The parts of vmta-inject. */
#ifndef VMTA_INJECT_H
#define VMTA_INJECT_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cli.h"
#include "base/map.h"
#include "conf/conf.h"
#include "submit/submit.h"

/* vmta-inject-rights.c: for whom, and as whom, we run. */

struct rights {
	bool secure;	 /* set-uid: nothing of the caller's is trusted */
	uid_t uid;	 /* of the caller */
	char user[64];	 /* his name, or his number */
	char source[80]; /* `user:NAME` */
};

/*
 * To be called first, with the exit code for what may be better later:
 * descriptors 0 to 2 are open, umask 077, no core dump, signals as they are by
 * default, and, set-uid, no environment.
 */
void rights_init(struct rights *r, int temp);
/* Set-uid: may this configuration be trusted? 0, or -1 (VEX_CONFIG). */
int rights_conf_ok(const struct rights *r, const char *file, struct verr *err);
/* Root becomes the owner of the spool, if that is another. 0 or -1. */
int rights_become_owner(const struct conf *c, struct verr *err);
/*
 * open(2) with the caller's rights; nothing of the process may run in another
 * thread meanwhile. fd, or -1 with err.
 */
int rights_open(const char *path, int flags, mode_t mode, struct verr *err);

/* vmta-inject-input.c: reading, until a signal ends it. */

enum { INPUT_IDLE = -2, INPUT_STOP = -3 };

struct input {
	int sig_fd; /* SIGINT and SIGTERM come here */
	bool stopped;
	char *p; /* what was read */
	size_t cap;
};

/* Take the two signals; a second one ends the process at once. 0 or -1. */
int input_init(struct input *in, struct verr *err);
void input_release(struct input *in);
/*
 * Read from fd into in->p: octets read; 0: the end; INPUT_IDLE: nothing for
 * wait_ms (-1: wait for ever); INPUT_STOP: a signal came; -1 with err.
 */
ssize_t input_read(struct input *in, int fd, int wait_ms, struct verr *err);

/* vmta-inject-rejects.c: what was refused, and why. */

struct rejects {
	FILE *fp;
	const char *name; /* NULL: standard error */
};

/* Open (and empty) the file of that name as the caller, or stderr. 0 or -1. */
int rejects_open(struct rejects *r, const char *name, struct verr *err);
/* `FILE:LINE: why`. */
void rejects_line(struct rejects *r, const char *file, uint64_t line,
    const char *why);
/*
 * No more is said. accepted: messages; rc: 0, or an error is to be told anyway.
 * 0; -1 with err: the list could not be written, and nothing is accepted (else
 * that is only told).
 */
int inject_rejects_end(struct rejects *r, uint64_t accepted, int rc,
    struct verr *err);

/* vmta-inject-seeds.c */

/*
 * Read the addresses of --seed-first; the caller releases *ret_seeds whatever
 * comes back. 0 or -1 (VEX_DATA with FILE:LINE).
 */
int inject_seeds(const char *file, struct map *ret_seeds, struct verr *err);

/* vmta-inject-sendmail.c */

struct inject;

extern const struct cli_tool inject_sendmail; /* for messages */
/* Was the program called as sendmail? */
bool inject_is_sendmail(const char *argv0);
/* Read sendmail's command line. 0 or -1 (VEX_USAGE). */
int inject_sendmail_args(struct inject *j, int argc, char **argv,
    struct verr *err);

/* vmta-inject-smtp.c: sendmail -bs; host: our name. The exit code. */
int inject_smtp(struct inject *j, struct submit *s, const char *host,
    const struct cli *cli);

/* vmta-inject-serve.c: --serve, for libvmta-submit */

struct buf;

/* Answer that nothing can be served, because of err; its code. */
int inject_serve_fail(const struct verr *err);
/* Until the library hangs up. The exit code. */
int inject_serve(struct inject *j, struct submit *s);

/* vmta-inject-message.c, vmta-inject-stream.c, vmta-inject-merge.c */

/* Write all of it to standard output. 0 or -1. */
int inject_say(struct buf *out, struct verr *err);

struct inject {
	const char *config;
	const char *sender; /* -f; NULL: not given */
	struct addr from;   /* what it stands for */
	struct submit_env env;
	struct buf envid; /* xtext */
	const char *key;  /* --submit-id */
	const char *rejects;
	const char *seed_file; /* --seed-first */
	struct map seeds;
	char notify[8]; /* sendmail -N: letters of NSFD */
	char mode;	/* sendmail -b: m, s or i; 0: not sendmail */
	const char *full_name;
	bool dot_ends, users; /* as sendmail has them */
	bool from_header;     /* -t */
	bool bsmtp, mbox, pickup, all_or_nothing, verbose;
	bool serve;
	const char *merge;	  /* the list; NULL: no merge */
	const char *email_column; /* NULL: `email` */
	char delimiter;		  /* 0: a comma */
	bool dedupe;
	int undefined;	 /* enum submit_undefined */
	int64_t preview; /* the number of a row; 0: none */
	char **rest;	 /* operands */
	int nrest;
	struct input in;
};

/* vmta-inject-message.c */

/* An address, or a message that names it. 0 or -1. */
int inject_addr(const struct submit *s, const char *what, const char *text,
    enum addr_kind kind, struct addr *ret_a, struct verr *err);
/* The recipients that are operands. 0 or -1. */
int inject_rcpts(const struct inject *j, struct submit *s, struct verr *err);
/* Standard input to its end: the message. 0 or -1. */
int inject_content(struct inject *j, struct submit *s, struct verr *err);
/*
 * The end of a submission that has gone well: the exit code. That standard
 * output cannot be written is only told when something is accepted.
 */
int inject_end(const struct cli *cli, uint64_t accepted, int code);
/* --merge: template, list, totals; the exit code. */
int inject_merge(struct inject *j, struct submit *s, const struct cli *cli);
/* The single message, from standard input. 0 or -1. */
int inject_message(struct inject *j, struct submit *s, struct verr *err);

/* vmta-inject-pickup.c */

/* Is nothing else on the command line that --pickup does not know? */
bool inject_pickup_alone(const struct inject *j);
/* --pickup: all directories, the totals; the exit code. */
int inject_pickup(struct inject *j, const struct rights *r, struct conf *c,
    const struct cli *cli);
/* --bsmtp, --mbox: all files, the totals on standard output; the exit code. */
int inject_stream(struct inject *j, struct submit *s, const struct cli *cli);

#endif
