/* The process at the other end, and octets to and from it. */
#ifndef VMTA_API_PIPE_H
#define VMTA_API_PIPE_H

#include <sys/types.h>
#include <stddef.h>

struct pipe_end {
	int fd;	     /* a socket; -1: none */
	pid_t owner; /* the process that opened it */
};

/*
 * Start the program (NULL: the vmta-inject of this installation). 0, or an
 * errno.
 */
int pipe_open(struct pipe_end *p, const char *program, const char *config);
/* Hang up; the owner waits for the other's end. Closed already is fine. */
void pipe_close(struct pipe_end *p);
/* All n octets: 0 or an errno. Never a signal. */
int pipe_write(const struct pipe_end *p, const void *buf, size_t n);
/* Some octets; 0: the end; -1 with errno. */
ssize_t pipe_read(const struct pipe_end *p, void *buf, size_t n);

#endif
