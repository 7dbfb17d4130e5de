/* The answer to EHLO: no number out of range, and what is named is found. */
#include "fuzz.h"
#include "smtp/ehlo.h"

/* Names that ehlo_names gave, as an answer again. */
static unsigned
offered_again(const struct buf *names)
{
	struct smtp_caps caps;
	struct buf text = BUF_INIT;
	size_t i;

	buf_adds(&text, "host\n");
	for (i = 0; i < names->len; i++)
		buf_addc(&text, names->p[i] == ',' ? '\n' : names->p[i]);
	smtp_ehlo_parse(text.p, text.len, 0, &caps);
	buf_release(&text);
	return (caps.offered);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned ignore = fuzz_byte(&in);
	char *p = fuzz_rest(&in);
	struct buf names = BUF_INIT;
	struct smtp_caps caps;

	smtp_ehlo_parse(p, in.n, ignore, &caps);
	FUZZ_CHECK(caps.ext == (caps.offered & ~ignore));
	FUZZ_CHECK(caps.size >= 0);
	FUZZ_CHECK(caps.rcpt_max >= 0 && caps.rcpt_max < 1000000);
	FUZZ_CHECK(caps.mail_max >= 0 && caps.mail_max < 1000000);
	FUZZ_CHECK(caps.rcpt_domain_max >= 0 && caps.rcpt_domain_max < 1000000);
	smtp_ehlo_names(&caps, &names);
	FUZZ_CHECK(offered_again(&names) == caps.offered);
	buf_release(&names);
	free(p);
	return (0);
}
