/* Directories of queues that are kept open; nobody else's business. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "spool/area.h"
#include "spool/spool.h"

/* How many VirtualMTAs: three descriptors each, of a process's few. */
#define AREA_KEPT 2

struct area_slot {
	char vmta[SPOOL_VMTA_MAX + 1];
	int dir;   /* queue/VMTA, -1: the slot is free */
	int fd[2]; /* by enum batch_area, -1: not open */
};

struct area_cache {
	struct area_slot slot[AREA_KEPT];
	size_t next; /* to be given up */
};

static void
area_close(struct spool *sp, struct area_slot *s)
{
	int *fd[3] = { &s->dir, &s->fd[0], &s->fd[1] }, saved = errno;
	size_t i;

	for (i = 0; i < 3; i++) {
		if (*fd[i] != -1)
			(void)sp->sys->close(sp->sys, *fd[i]);
		*fd[i] = -1;
	}
	s->vmta[0] = '\0';
	errno = saved;
}

void
area_release(struct spool *sp)
{
	size_t i;

	if (sp->areas == NULL)
		return;
	for (i = 0; i < AREA_KEPT; i++)
		area_close(sp, &sp->areas->slot[i]);
	free(sp->areas);
	sp->areas = NULL;
}

int
area_open(struct spool *sp, int dfd, const char *name, int flags)
{
	int fd = sp->sys->openat(sp->sys, dfd, name, flags | O_NOATIME, 0);

	if (fd == -1 && errno == EPERM) /* it is another user's */
		fd = sp->sys->openat(sp->sys, dfd, name, flags, 0);
	return (fd);
}

/* Was the directory removed? What is made in its place is another one. */
static bool
area_gone(struct spool *sp, int fd)
{
	struct stat st;
	int saved = errno;
	bool gone;

	gone = sp->sys->fstat(sp->sys, fd, &st) == -1 || st.st_nlink == 0;
	errno = saved;
	return (gone);
}

/* The slot of a VirtualMTA, its directory open; NULL: err. */
static struct area_slot *
area_slot(struct spool *sp, const char *vmta, struct verr *err)
{
	struct area_cache *c = sp->areas;
	struct area_slot *s;
	size_t i;

	if (c == NULL) {
		c = sp->areas = xcalloc(1, sizeof(*c));
		for (i = 0; i < AREA_KEPT; i++)
			c->slot[i] = (struct area_slot) { .dir = -1,
				.fd = { -1, -1 } };
	}
	for (i = 0; i < AREA_KEPT; i++)
		if (strcmp(c->slot[i].vmta, vmta) == 0)
			return (&c->slot[i]);
	s = &c->slot[c->next++ % AREA_KEPT];
	area_close(sp, s);
	s->dir = spool_dir(sp, sp->queue_fd, vmta, err);
	if (s->dir == -1)
		return (NULL);
	memcpy(s->vmta, vmta, strlen(vmta) + 1);
	return (s);
}

void
area_forget(struct spool *sp, const char *vmta)
{
	size_t i;

	for (i = 0; sp->areas != NULL && i < AREA_KEPT; i++)
		if (strcmp(sp->areas->slot[i].vmta, vmta) == 0)
			area_close(sp, &sp->areas->slot[i]);
}

int
area_dir(struct spool *sp, const char *vmta, enum batch_area area,
    struct verr *err)
{
	struct area_slot *s;
	int i;

	for (i = 0; i < 2; i++) {
		if ((s = area_slot(sp, vmta, err)) == NULL)
			return (-1);
		if (s->fd[area] == -1)
			s->fd[area] = spool_dir(sp, s->dir,
			    area == BATCH_NEW ? "new" : "cur", err);
		if (s->fd[area] != -1 || errno != ENOENT ||
		    !area_gone(sp, s->dir))
			return (s->fd[area]);
		area_close(sp, s);
	}
	return (-1);
}

int
area_domain(struct spool *sp, const char *vmta, enum batch_area area,
    const char *domain, struct verr *err)
{
	int afd, fd, i;

	for (i = 0; i < 2; i++) {
		if ((afd = area_dir(sp, vmta, area, err)) == -1)
			return (-1);
		fd = spool_dir(sp, afd, domain, err);
		if (fd != -1 || errno != ENOENT || !area_gone(sp, afd))
			return (fd);
		area_forget(sp, vmta);
	}
	return (-1);
}
