# vmta-inject, set-uid: for everybody, and as whom. Needs root.

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	need_root
	need_command setpriv
	need_user daemon
	need_user nobody
	need_user www-data
	P=$(mktemp -d "${TMPDIR:-/tmp}/vmta-setuid.XXXXXX")
	echo "$P" >>"$BATS_TEST_TMPDIR/.dirs"
	chmod 0755 "$P"
	mkdir "$P/bin" "$P/etc"
	install -d -o nobody -m 0755 "$P/home"
	install -d -o daemon -g daemon -m 0700 "$P/spool"
	install -o daemon -g daemon -m 4755 "$BUILD/bin/vmta-inject" "$P/bin"
	iconf "source 'user:nobody' { allow-virtual-mta = {'b'} }"
	chmod 0644 "$P/etc/vmta.conf"
	unset VMTA_CONFIG
	setpriv --reuid=nobody --clear-groups "$P/bin/vmta-inject" --version \
		>/dev/null || skip "set-uid programs cannot run below $P"
}

teardown() {
	end_test
}

# as USER ARG...: vmta-inject as that user.
as() {
	local user=$1
	shift
	setpriv --reuid="$user" --regid="$(id -g "$user" 2>/dev/null ||
		echo 4242)" --clear-groups "$P/bin/vmta-inject" "$@"
}

# Everything in the spool is daemon's, and for nobody else.
all_private() {
	equal '' "$(find "$P/spool" ! -user daemon -o -perm /077)"
}

@test "www-data, nobody and a uid without a name submit; the spool is closed" {
	as www-data a@x.example <<<'x: y'
	mail | grep -qx 'source: user:www-data'
	mail | grep -q ' www-data@mta.example.com$'
	as nobody --vmta b b@x.example <<<'x: y'
	mail | grep -qx 'source: user:nobody'
	as 4242 -f s@y.example c@x.example <<<'x: y'
	mail | grep -qx 'source: user:4242'
	equal 3 "$(batches | wc -l)"
	all_private
	run setpriv --reuid=nobody --clear-groups ls "$P/spool"
	[ "$status" != 0 ]
}

@test "root: through the set-uid program, and without the bit" {
	as root a@x.example <<<'x: y'
	mail | grep -qx 'source: user:root'
	all_private
	chmod 0755 "$P/bin/vmta-inject"
	as root a@x.example <<<'x: y'
	bsmtp 300 >"$P/home/s"
	chmod 0600 "$P/home/s"
	as root --bsmtp --rejects "$P/home/r" "$P/home/s" >/dev/null
	equal 0 "$(stat -c %u "$P/home/r")"
	equal 302 "$(mail | grep -c '^Subject\|^x: y')"
	all_private
	run --separate-stderr as nobody --vmta b a@x.example <<<'x: y'
	equal 78 "$status"
	[[ $stderr == *'belongs to another user'* ]]
	all_private
}

@test "V18: -C, VMTA_CONFIG and the environment say nothing" {
	local env
	mkdir -p "$P/home/etc" "$P/home/spool"
	printf '%s\n' "spool = $P/home/spool" 'virtual-mta evil { }' \
		"smtp-source-host = {'127.0.0.1 x.example'}" \
		>"$P/home/etc/vmta.conf"
	chown -R nobody "$P/home"
	as nobody -C "$P/home/etc/vmta.conf" --vmta b a@x.example <<<'x: y'
	VMTA_CONFIG=$P/home/etc/vmta.conf as nobody --vmta b a@x.example <<<'x: y'
	run env LD_PRELOAD=/nonexistent TMPDIR=/ TZ=/etc/shadow IFS=/ \
		HOME=/ LANG=xx PATH= MALLOC_CHECK_=3 "$P/bin/vmta-inject" \
		-C /etc/shadow a@x.example <<<'x: y'
	equal 0 "$status" "$output"
	equal 3 "$(batches | wc -l)"
	equal '' "$(find "$P/home/spool" -type f)"
}

@test "V18: a link to the program elsewhere brings no rules of its own" {
	mkdir -p "$P/home/bin" "$P/home/etc"
	ln "$P/bin/vmta-inject" "$P/home/bin/vmta-inject"
	printf '%s\n' "spool = $P/spool" 'virtual-mta evil { }' \
		"smtp-source-host = {'127.0.0.1 x.example'}" \
		>"$P/home/etc/vmta.conf"
	chown nobody "$P/home/etc/vmta.conf"
	run setpriv --reuid=nobody --clear-groups "$P/home/bin/vmta-inject" \
		--vmta evil a@x.example <<<'x: y'
	equal 78 "$status"
	equal '' "$(batches)"
}

@test "V18: files are read with the caller's rights" {
	bsmtp 2 >"$P/home/own"
	chown nobody "$P/home/own"
	chmod 0600 "$P/home/own"
	bsmtp 2 >"$P/root"
	chmod 0600 "$P/root"
	bsmtp 2 >"$P/daemon"
	chown daemon "$P/daemon"
	chmod 0600 "$P/daemon"
	as nobody --bsmtp --vmta b "$P/home/own"
	for f in "$P/root" "$P/daemon" "$P/spool/state/config.img"; do
		run as nobody --bsmtp --vmta b "$f"
		equal 74 "$status" "$f"
	done
	equal 2 "$(mail | grep -c ^Subject)"
	all_private
}

@test "rejects are written with the caller's rights, no link followed" {
	as nobody --bsmtp --vmta b --rejects "$P/home/r" < <(bsmtp 1)
	equal nobody "$(stat -c %U "$P/home/r")"
	touch "$P/daemon"
	chown daemon "$P/daemon"
	ln -s "$P/home/r" "$P/home/link"
	for f in "$P/daemon" "$P/home/link" "$P/spool/x" "$P/x"; do
		run as nobody --bsmtp --vmta b --rejects "$f" < <(bsmtp 1)
		equal 74 "$status" "$f"
	done
	equal 1 "$(mail | grep -c ^Subject)"
	[ ! -e "$P/spool/x" ]
	all_private
}

@test "each source has its own rules" {
	run --separate-stderr as nobody a@x.example --vmta a <<<'x: y'
	equal 65 "$status"
	[[ $stderr == *"source user:nobody may not use VirtualMTA 'a'"* ]]
	as www-data a@x.example --vmta a <<<'x: y'
	equal 1 "$(batches | wc -l)"
}

@test "the same submit id of two users is two" {
	as www-data --submit-id k a@x.example <<<'x: y'
	as nobody --vmta b --submit-id k a@x.example <<<'x: y'
	as nobody --vmta b --submit-id k a@x.example <<<'x: y'
	equal 2 "$(batches | wc -l)"
	all_private
}

@test "V18: closed descriptors, ignored signals, an odd umask, no file size" {
	(umask 0 && as www-data a@x.example <<<'x: y' >&- 2>&-)
	# shellcheck disable=SC2016
	run setpriv --reuid=www-data --clear-groups bash -c \
		'exec "$0" a@x.example <&-' "$P/bin/vmta-inject"
	equal 74 "$status" "$output"
	equal 1 "$(batches | wc -l)"
	all_private
	(
		trap '' TERM CHLD ALRM PIPE
		umask 0777
		as www-data a@x.example <<<'x: y'
	)
	equal 2 "$(batches | wc -l)"
	run bash -c "ulimit -f 0; setpriv --reuid=www-data --clear-groups \
		'$P/bin/vmta-inject' a@x.example <'$P/etc/vmta.conf'"
	[ "$status" = 74 ] || [ "$status" = 75 ] || fail "$status $output"
	equal 2 "$(batches | wc -l)"
	all_private
}
