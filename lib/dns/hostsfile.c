/*
 * hosts(5): `ADDRESS NAME [NAME ...]`, `#` begins a comment. Lines that are
 * not of this form are passed over, as the C library does. The whole file is
 * kept, since some hold a hundred thousand names.
 */
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "dns/hostsfile.h"
#include "dns/name.h"

#define HOSTS_BLANK " \t\r\n"

struct hosts_entry {
	union dns_addr *addr;
	size_t n;
};

struct dns_hostsfile {
	char *path;
	struct map names; /* struct hosts_entry */
	struct stat seen; /* all zero: not read */
};

static void
entry_free(void *p)
{
	struct hosts_entry *e = p;

	free(e->addr);
	free(e);
}

struct dns_hostsfile *
dns_hostsfile_new(const char *path)
{
	struct dns_hostsfile *f = xcalloc(1, sizeof(*f));

	f->path = xstrdup(path);
	map_init(&f->names);
	return (f);
}

void
dns_hostsfile_free(struct dns_hostsfile *f)
{
	if (f == NULL)
		return;
	map_release(&f->names, entry_free);
	free(f->path);
	free(f);
}

/* One more address for a name. */
static void
hosts_put(struct dns_hostsfile *f, const char *name, const union dns_addr *a)
{
	struct hosts_entry *e = map_get(&f->names, name);

	if (e == NULL) {
		e = xcalloc(1, sizeof(*e));
		(void)map_put(&f->names, name, e);
	}
	e->addr = xreallocarray(e->addr, e->n + 1, sizeof(*e->addr));
	e->addr[e->n++] = *a;
}

/* One line; changes it. */
static void
hosts_line(struct dns_hostsfile *f, char *line)
{
	char name[DNS_NAME_MAX], *word, *rest = line;
	union dns_addr a;
	bool have = false;

	line[strcspn(line, "#")] = '\0';
	while ((word = strsep(&rest, HOSTS_BLANK)) != NULL) {
		if (*word == '\0')
			continue;
		if (have && dns_name_clean(word, strlen(word), name) == 0)
			hosts_put(f, name, &a);
		if (!have && dns_addr_parse(word, 0, &a) == -1)
			return;
		have = true;
	}
}

/* Is the file another one than was read? Notes what it is now. */
static bool
hosts_changed(struct dns_hostsfile *f)
{
	struct stat st;

	if (stat(f->path, &st) == -1)
		memset(&st, 0, sizeof(st));
	if (st.st_dev == f->seen.st_dev && st.st_ino == f->seen.st_ino &&
	    st.st_size == f->seen.st_size &&
	    st.st_mtim.tv_sec == f->seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == f->seen.st_mtim.tv_nsec)
		return (false);
	f->seen = st;
	return (true);
}

static void
hosts_read(struct dns_hostsfile *f)
{
	char *line = NULL;
	size_t cap = 0;
	FILE *fp;

	map_release(&f->names, entry_free);
	fp = fopen(f->path, "re");
	if (fp == NULL)
		return;
	while (getline(&line, &cap, fp) != -1)
		hosts_line(f, line);
	free(line);
	(void)fclose(fp);
}

const union dns_addr *
dns_hostsfile_find(struct dns_hostsfile *f, const char *name, size_t *ret_n)
{
	const struct hosts_entry *e;

	if (hosts_changed(f))
		hosts_read(f);
	e = map_get(&f->names, name);
	*ret_n = e != NULL ? e->n : 0;
	return (e != NULL ? e->addr : NULL);
}
