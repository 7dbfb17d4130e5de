/*
 * The compiled configuration, damaged: an image in which any octet differs,
 * or that is longer or shorter, is none. The input is a list of changes, two
 * octets of place and one to exclusive-or; its last octet cuts the end off.
 */
#include <sys/mman.h>

#include "conf/conf.h"
#include "conf/image.h"
#include "conf/impl.h"
#include "fuzz.h"

static const char text
    [] = "spool = spool\nhost-name = mta.example.com\n"
	 "virtual-mta a { smtp-source-host = {'192.0.2.1 a.example'}\n"
	 "domain 'example.com' { max-smtp-out = 3 retry-after = '1m,5m' } }\n"
	 "virtual-mta b { smtp-source-host = {'192.0.2.2 b.example'} }\n"
	 "virtual-mta-pool p { virtual-mta = {'a 3', 'b'} }\n"
	 "source 'local' { default-virtual-mta = p }\n"
	 "domain '*' { max-msg-rate = 500/h }\n";

/* The image of it; made once. */
static const struct buf *
image(void)
{
	static struct buf img;
	struct conf *c;
	char path[400];

	if (img.len > 0)
		return (&img);
	(void)snprintf(path, sizeof(path), "%s/p/etc", fuzz_scratch());
	(void)close(fuzz_mkdirs(fuzz_mkdirs(AT_FDCWD, fuzz_dir), "p/etc"));
	(void)strncat(path, "/vmta.conf", sizeof(path) - strlen(path) - 1);
	fuzz_put(AT_FDCWD, path, text, sizeof(text) - 1);
	FUZZ_CHECK(conf_parse(&fuzz_sys, path, &c, NULL) == 0);
	buf_add(&img, c->own, c->size);
	conf_unref(c);
	return (&img);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct buf *img = image();
	struct spool *sp = fuzz_spool();
	struct fuzz_in in = { data, size };
	size_t n = img->len, at;
	bool same;
	char *p = xmalloc(n + 256);
	void *map;

	memcpy(p, img->p, n);
	memset(p + n, 0, 256);
	while (in.n >= 3) {
		at = fuzz_byte(&in);
		at = (at << 8 | fuzz_byte(&in)) % n;
		p[at] = (char)(p[at] ^ (char)fuzz_byte(&in));
	}
	if (in.n > 0) {
		at = fuzz_byte(&in);
		n = at < 128 ? n + at : n - (n * (at - 127) / 128);
	}
	same = n == img->len && memcmp(p, img->p, n) == 0;
	fuzz_put(sp->state_fd, IMG_NAME, p, n);
	map = image_load(&fuzz_sys, sp->path, &at);
	FUZZ_CHECK((map != NULL) == same);
	if (map != NULL)
		FUZZ_CHECK(at == n && munmap(map, at) == 0);
	p = xreallocarray(p, 1, n + (n == 0));
	FUZZ_CHECK(image_valid(p, n) == same);
	free(p);
	return (0);
}
