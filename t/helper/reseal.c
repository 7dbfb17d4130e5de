/*
 * reseal FILE OLD NEW: change a batch file as somebody would who knows the
 * format: the first OLD in its index becomes NEW (\xHH stands for an octet),
 * and the lengths, the hash on the INDEX line and the END line are made to
 * fit again. Exit 1 when OLD is not there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"

#define FIRST 37  /* octets of the first line */
#define INDEX 23  /* of the INDEX line */
#define FIELDS 62 /* that are spaces for the hash */
#define END 21

/* All of a file. */
static void
read_all(const char *file, struct buf *b)
{
	FILE *f = fopen(file, "r");
	size_t n;

	if (f == NULL) {
		perror(file);
		exit(2);
	}
	while ((n = fread(buf_room(b, 65536), 1, 65536, f)) > 0)
		b->len += n;
	(void)fclose(f);
}

/* \xHH to octets. */
static void
unescape(const char *s, struct buf *b)
{
	char hex[3] = "";

	for (; *s != '\0'; s++)
		if (s[0] == '\\' && s[1] == 'x' && s[2] != '\0' &&
		    s[3] != '\0') {
			memcpy(hex, s + 2, 2);
			buf_addc(b, (int)strtoul(hex, NULL, 16));
			s += 3;
		} else
			buf_addc(b, *s);
}

/* The hash of an index without its INDEX line. */
static uint64_t
hash(const struct buf *index)
{
	struct buf b = BUF_INIT;
	uint64_t h;
	char *p, *nl;

	buf_add(&b, index->p, index->len);
	for (p = b.p; (nl = memchr(p, '\n', b.len - (size_t)(p - b.p))) != NULL;
	     p = nl + 1)
		if (p[0] == 'R' && p[1] == ' ' && nl - p > FIELDS + 2)
			memset(p + 2, ' ', FIELDS);
	h = map_hash(b.p, b.len);
	buf_release(&b);
	return (h);
}

/* Put the index together again, and the file. */
static void
seal(struct buf *index, const char *content, size_t n, FILE *f)
{
	char first[FIRST + 1];

	(void)snprintf(first, sizeof(first), "vmta-batch 1 %010zu %012zu\n",
	    index->len + INDEX, n);
	memcpy(index->p, first, FIRST);
	buf_addf(index, "INDEX %016" PRIx64 "\n", hash(index));
	(void)fwrite(index->p, 1, index->len, f);
	(void)fwrite(content, 1, n, f);
	(void)fprintf(f, "END %016zu\n", index->len + n + END);
}

int
main(int argc, char **argv)
{
	struct buf b = BUF_INIT, from = BUF_INIT, to = BUF_INIT, index;
	size_t len, at;
	char *hit;
	FILE *f;

	if (argc != 4)
		return (2);
	read_all(argv[1], &b);
	unescape(argv[2], &from);
	unescape(argv[3], &to);
	len = strtoul(b.p + 13, NULL, 10);
	hit = memmem(b.p, len - INDEX, buf_str(&from), from.len);
	if (hit == NULL)
		return (1);
	at = (size_t)(hit - b.p);
	buf_init(&index);
	buf_add(&index, b.p, at);
	buf_add(&index, buf_str(&to), to.len);
	buf_add(&index, hit + from.len, len - INDEX - at - from.len);
	f = fopen(argv[1], "w");
	if (f == NULL)
		return (2);
	seal(&index, b.p + len, b.len - len - END, f);
	buf_release(&b);
	buf_release(&from);
	buf_release(&to);
	buf_release(&index);
	return (fclose(f) == 0 ? 0 : 2);
}
