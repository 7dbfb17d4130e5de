/*
 * CSV as a merge reads it: the same rows whatever the cuts, cells without a
 * lost NUL behind them, lines that count upwards; and what base/csv writes is
 * read back as it was.
 */
#include "base/csv.h"
#include "base/csvread.h"
#include "fuzz.h"

/* All that was told, as octets. */
struct seen {
	struct buf text;
	uint64_t line;
	size_t rows;
};

static int
on_row(void *arg, uint64_t line, const struct csvread_cell *cell, size_t n,
    const char *bad, struct verr *err)
{
	struct seen *s = arg;
	size_t i;

	(void)err;
	FUZZ_CHECK(line > s->line);
	FUZZ_CHECK(n > 0 && n <= CSVREAD_FIELDS);
	s->line = line;
	s->rows++;
	buf_addf(&s->text, "%lu %s\n", (unsigned long)line,
	    bad != NULL ? bad : "");
	for (i = 0; i < n; i++) {
		FUZZ_CHECK(cell[i].p[cell[i].n] == '\0');
		buf_addf(&s->text, "%zu ", cell[i].n);
		buf_add(&s->text, cell[i].p, cell[i].n);
	}
	return (0);
}

static int
read_all(const char *p, size_t n, char delimiter, uint32_t cut, struct seen *s)
{
	struct csvread_opts o = { .delimiter = delimiter,
		.row = on_row,
		.arg = s };
	struct csvread *r = xcalloc(1, sizeof(*r));
	struct fuzz_cut c = { cut };
	size_t piece;
	int rc = 0;

	csvread_init(r, &o);
	while (n > 0 && rc == 0) {
		piece = fuzz_cut(&c, n);
		rc = csvread_feed(r, p, piece, NULL);
		p += piece;
		n -= piece;
	}
	if (rc == 0)
		rc = csvread_end(r, NULL);
	csvread_release(r);
	free(r);
	return (rc);
}

/* The octets as the fields of one row that base/csv writes. */
static void
write_and_read(const char *p, size_t n)
{
	struct buf row = BUF_INIT, want = BUF_INIT;
	struct seen s = { .rows = 0 };
	size_t i, len;
	bool plain = true;

	for (i = 0; i < n; i++)
		plain = plain && p[i] != '\0' && p[i] != '\r' && p[i] != '\n';
	if (!plain || n == 0)
		return;
	buf_adds(&want, "1 \n");
	for (i = 0; i < n; i += len) {
		len = n - i < 7 ? n - i : 7;
		csv_field(&row, i == 0, p + i, len);
		buf_addf(&want, "%zu ", len);
		buf_add(&want, p + i, len);
	}
	csv_end(&row);
	if ((unsigned char)row.p[0] < 0xe0 &&
	    read_all(row.p, row.len, ',', 1, &s) == 0)
		FUZZ_CHECK(s.text.len == want.len &&
		    memcmp(s.text.p, want.p, want.len) == 0);
	buf_release(&row);
	buf_release(&want);
	buf_release(&s.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	char delimiter = ",;\t|"[fuzz_byte(&in) & 3];
	unsigned seed = fuzz_byte(&in) + 1;
	struct seen whole = { .rows = 0 }, cut = { .rows = 0 };
	char *p = fuzz_rest(&in);
	int rc;

	rc = read_all(p, in.n, delimiter, 0, &whole);
	FUZZ_CHECK(read_all(p, in.n, delimiter, seed, &cut) == rc);
	FUZZ_CHECK(whole.rows == cut.rows && whole.text.len == cut.text.len);
	FUZZ_CHECK(memcmp(buf_str(&whole.text), buf_str(&cut.text),
		       cut.text.len) == 0);
	write_and_read(p, in.n);
	buf_release(&whole.text);
	buf_release(&cut.text);
	free(p);
	return (0);
}
