# vmta-inject on a full disk. Needs root, for a small filesystem.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	need_root
	make_prefix
	iconf 'min-free-space = 0' 'min-free-inodes = 0'
	mount -t tmpfs -o size=2m,nr_inodes=200,mode=0700 vmta-test \
		"$P/spool" 2>/dev/null || skip "needs to mount a tmpfs"
}

teardown() {
	[ -z "${P:-}" ] || umount "$P/spool" 2>/dev/null || true
	end_test
}

# A message of so many KiB.
large() {
	printf 'x: y\n\n'
	head -c $(($1 * 1024)) /dev/zero | tr '\0' '\n'
}

@test "no space: 75, nothing behind; with space again it goes" {
	inject a@x.example <<<'x: y'
	head -c 3000000 /dev/zero >"$P/spool/ballast" 2>/dev/null || true
	refused 75 'No space left' a@x.example <<<'x: y'
	refused 75 '' -t < <(
		printf 'To: a@x.example, a@y.example, a@z.example\n'
		large 100
	)
	rm "$P/spool/ballast"
	inject a@x.example <<<'x: y'
	equal 2 "$(batches | wc -l)"
	refused 75 '' a@x.example < <(large 1500)
}

@test "no inodes: 75" {
	local i
	inject a@x.example <<<'x: y'
	mkdir "$P/spool/ballast"
	for i in $(seq 250); do
		: 2>/dev/null >"$P/spool/ballast/$i" || break
	done
	refused 75 '' a@x.example <<<'x: y'
	rm -r "$P/spool/ballast"
	inject a@x.example <<<'x: y'
	equal 2 "$(batches | wc -l)"
}

@test "min-free-space and min-free-inodes stop it before" {
	iconf 'min-free-space = 1M' 'min-free-inodes = 0'
	inject a@x.example <<<'x: y'
	head -c 1100000 /dev/zero >"$P/spool/ballast"
	refused 75 '' a@x.example <<<'x: y'
	rm "$P/spool/ballast"
	inject a@x.example <<<'x: y'
	iconf 'min-free-space = 0' 'min-free-inodes = 1000'
	refused 75 '' a@x.example <<<'x: y'
}

@test "a stream fills the disk: 75, what was counted is there, and goes on" {
	local n
	bsmtp 20000 5 >"$BATS_TEST_TMPDIR/stream"
	run --separate-stderr inject --bsmtp --submit-id k \
		"$BATS_TEST_TMPDIR/stream"
	equal 75 "$status"
	[[ $output =~ ^accepted\ ([0-9]+)\ rejected\ 0\ suppressed\ 0$ ]]
	n=${BASH_REMATCH[1]}
	[ "$n" -gt 0 ] && [ "$n" -lt 20000 ]
	equal "$(seq "$n" | md5sum)" "$(numbers | md5sum)"
	mount -o remount,size=64m,nr_inodes=10000 "$P/spool"
	run inject --bsmtp --submit-id k "$BATS_TEST_TMPDIR/stream"
	equal 'accepted 20000 rejected 0 suppressed 0' "$output"
	equal "$(seq 20000 | md5sum)" "$(numbers | md5sum)"
}

@test "a read-only spool: 75" {
	inject a@x.example <<<'x: y'
	mount -o remount,ro "$P/spool"
	refused 75 '' a@x.example <<<'x: y'
}
