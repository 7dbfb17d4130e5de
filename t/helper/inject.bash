# What the tests of vmta-inject share.
# shellcheck shell=bash disable=SC2034

# iconf [LINES...]: a configuration with VirtualMTAs a, b, c, pools p (a 3, b)
# and even (a, b, c); source local sends by a.
iconf() {
	{
		cat <<-'END'
			host-name = mta.example.com
			smtp-source-host = {'127.0.0.1 mta.example.com'}
			virtual-mta a { }
			virtual-mta b { }
			virtual-mta c { }
			virtual-mta-pool p { virtual-mta = {'a 3', 'b'} }
			virtual-mta-pool even { virtual-mta = {'a', 'b', 'c'} }
			source 'local' { default-virtual-mta = a }
		END
		printf '%s\n' "$@"
	} >"$P/etc/vmta.conf"
}

# What is in the spool: every file, without the compiled configuration.
spool_files() {
	find "$P/spool" -type f ! -name config.img -printf '%P %s\n' | sort
}

# The batches, their paths below spool/queue.
batches() {
	find "$P/spool/queue" -type f -path '*/new/*' -printf '%P\n' \
		2>/dev/null | sort
}

# The content of all batches.
mail() {
	find "$P/spool/queue" -type f -path '*/new/*' -print0 2>/dev/null |
		sort -z |
		xargs -0r cat
}

# Lines of recipients: `INDEX RCPT`, in the order of the index.
rcpts() {
	mail | sed -n 's/^R .\{62\} \([0-9]*\) [^ ]* [^ ]* \(.*\)$/\1 \2/p' |
		sort -n
}

# refused CODE TEXT ARG...: stdin through inject is refused with this exit
# code, with one line that holds TEXT, and the spool is as before.
refused() {
	local code=$1 text=$2 before
	shift 2
	before=$(spool_files)
	run --separate-stderr inject "$@"
	# shellcheck disable=SC2154 # run sets stderr and stderr_lines
	equal "$code" "$status" "exit code of: $* ($stderr)"
	equal '' "$output" output
	equal 1 "${#stderr_lines[@]}" "lines of: $stderr"
	[[ $stderr == *"$text"* ]] || fail "no '$text' in: $stderr"
	equal "$before" "$(spool_files)" 'the spool'
}

# bsmtp N [DOMAINS]: a stream of N transactions.
bsmtp() {
	awk -v n="$1" -v d="${2:-3}" 'BEGIN {
		for (i = 1; i <= n; i++)
			printf "MAIL FROM:<s@y.example>\nRCPT TO:<u%d@d%d." \
			    "example>\nDATA\nSubject: number %d\n\nbody %d\n" \
			    ".\n", i, i % d, i, i
	}'
}

# start_reading NAME ARG...: start vmta-inject; what it reads is written to
# descriptor 5 (which the test closes).
start_reading() {
	local name=$1
	shift
	mkfifo "$BATS_TEST_TMPDIR/$name.fifo"
	exec 5<>"$BATS_TEST_TMPDIR/$name.fifo"
	# shellcheck disable=SC2016
	start "$name" bash -c 'exec "$0" "$@" <&5 5>&-' \
		"$P/bin/vmta-inject" "$@"
}

# takes_signals PID: does it take its signals from a descriptor already?
takes_signals() {
	readlink "/proc/$1/fd/"* 2>/dev/null | grep -q signalfd
}

# The numbers of the messages of bsmtp that are queued, each once a time.
numbers() {
	mail | tr -d '\r' | sed -n 's/^Subject: number //p' | sort -n
}
