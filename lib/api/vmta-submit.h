/*
 * libvmta-submit: put mail into the spool of vmta. vmta-submit(3) is its
 * manual, with an example.
 *
 *	vmta_submit *s = vmta_open(NULL, NULL);
 *
 *	vmta_begin(s);
 *	vmta_set(s, "from", "bounces@example.com");
 *	vmta_rcpt(s, "joe@example.org");
 *	vmta_data(s, message, strlen(message));
 *	if (vmta_end(s) == -1 || vmta_commit(s) == -1)
 *		warnx("%s", vmta_error(s));
 *	vmta_close(s);
 *
 * All that return int return 0, or -1: then vmta_code and vmta_error say why.
 * After an error inside of a message the calls that follow do nothing, and
 * fail, up to vmta_end, vmta_drop, vmta_begin or vmta_begin_merge: only the
 * result of vmta_end need be looked at.
 *
 * Threads: a handle is for one thread at a time; handles have nothing in
 * common. In a child of fork() a handle of the parent can only be closed.
 *
 * The library prints nothing, ends nothing, and changes no signal, umask,
 * directory or locale of the process. It starts a vmta-inject for each
 * handle, which is no child of the process.
 */
#ifndef VMTA_SUBMIT_H
#define VMTA_SUBMIT_H

#include <stddef.h>

#if defined(__GNUC__)
#define VMTA_PUBLIC __attribute__((visibility("default")))
#else
#define VMTA_PUBLIC
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vmta_submit vmta_submit;

/* vmta_code: those of sysexits.h. */
enum vmta_code {
	VMTA_OK = 0,
	VMTA_PART = 1,	    /* some recipients of a merge were refused */
	VMTA_USAGE = 64,    /* a call, name or value that cannot be */
	VMTA_DATA = 65,	    /* refused: to repeat it is of no use */
	VMTA_SOFTWARE = 70, /* a bug of vmta */
	VMTA_IO = 74,	    /* reading or writing failed */
	VMTA_TEMP = 75,	    /* not now: no space, no memory, submit id in use */
	VMTA_CONFIG = 78    /* the configuration, or the spool, is wrong */
};

/*
 * A new submission. program: vmta-inject; NULL: that of this library.
 * config: its configuration; NULL: what it would read itself. Never NULL but
 * without memory; look at vmta_code. Free with vmta_close.
 */
VMTA_PUBLIC vmta_submit *vmta_open(const char *program, const char *config);
/* Forget what is not durable. NULL is fine. */
VMTA_PUBLIC void vmta_close(vmta_submit *s);

/* Of the last call: a code, and one line of text ("" without an error). */
VMTA_PUBLIC int vmta_code(const vmta_submit *s);
VMTA_PUBLIC const char *vmta_error(const vmta_submit *s);
/* `0.1` */
VMTA_PUBLIC const char *vmta_version(void);

/*
 * Before the first message. A call with the same key, by the same user, takes
 * the messages that an earlier one had accepted without queueing them again.
 */
VMTA_PUBLIC int vmta_submit_id(vmta_submit *s, const char *key);
/* Before the first message: all becomes one commit, or nothing of it. */
VMTA_PUBLIC int vmta_one_commit(vmta_submit *s);

/* Begin a message, or a template with recipients that have variables. */
VMTA_PUBLIC int vmta_begin(vmta_submit *s);
VMTA_PUBLIC int vmta_begin_merge(vmta_submit *s);
/*
 * What holds for the message, before its content and recipients: from, vmta,
 * job, envid, ret (full, headers), priority, at, verp, hold,
 * header-recipients; of a merge: undefined (keep, empty), dedupe.
 */
VMTA_PUBLIC int vmta_set(vmta_submit *s, const char *name, const char *value);
/* The next n octets, lines in LF or CRLF; of a merge, before columns. */
VMTA_PUBLIC int vmta_data(vmta_submit *s, const void *p, size_t n);
/* A merge: recipients will have this variable. */
VMTA_PUBLIC int vmta_column(vmta_submit *s, const char *name);
/* Add a recipient. */
VMTA_PUBLIC int vmta_rcpt(vmta_submit *s, const char *address);
/* Of that recipient: notify (never; success,failure,delay), orcpt. */
VMTA_PUBLIC int vmta_rcpt_set(vmta_submit *s, const char *name,
    const char *value);
/* Of that recipient of a merge: the value of a column. NULL: undefined. */
VMTA_PUBLIC int vmta_var(vmta_submit *s, const char *name, const char *value);
/* Forget the message. */
VMTA_PUBLIC int vmta_drop(vmta_submit *s);

/*
 * The message is complete. 0: accepted, to be durable with vmta_commit. -1:
 * refused as a whole (VMTA_DATA, VMTA_USAGE), and the next one may follow;
 * any other code: the submission is broken off, and later calls fail.
 *
 * A merge is durable when this returns. 1 (VMTA_PART): but some recipients
 * were refused: vmta_refused.
 */
VMTA_PUBLIC int vmta_end(vmta_submit *s);
/* Make all that was accepted durable. */
VMTA_PUBLIC int vmta_commit(vmta_submit *s);

/* Of the message that was accepted last: its id, in the journal msgId; "". */
VMTA_PUBLIC const char *vmta_id(const vmta_submit *s);
/* Recipients of the last vmta_end: accepted (a merge), refused. */
VMTA_PUBLIC unsigned long vmta_count(const vmta_submit *s);
VMTA_PUBLIC unsigned long vmta_count_refused(const vmta_submit *s);
/*
 * The i-th refused recipient of the last vmta_end (of a merge: the first
 * 10,000 are kept): why, and in *ret_index the number of calls of vmta_rcpt
 * before his. NULL: there is none. Valid until the next message.
 */
VMTA_PUBLIC const char *vmta_refused(const vmta_submit *s, size_t i,
    unsigned long *ret_index);

#ifdef __cplusplus
}
#endif

#endif
