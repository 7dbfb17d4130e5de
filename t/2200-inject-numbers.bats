# vmta-inject and vmta-check: numbers that fit no integer, and messages larger
# than one. (Delivery of such: 4210-smtp-numbers.bats.)

load helper/common
load helper/inject
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

# One message of N octets, in one line, without a file of that size.
endless() {
	truncate -s "$1" "$P/sparse"
	printf 'Subject: x\n\n'
	tr '\0' 'x' <"$P/sparse"
}

# In so little memory.
in_memory() {
	local kib=$1
	shift
	case $BUILD in
	*/asan | */cov | */int) "$@" ;; # they need terabytes of it
	*) (ulimit -v "$kib" && "$@") ;;
	esac
}

@test "V17: MAIL SIZE= of 2^31, 2^32, 2^63, 20 digits: read, never wrapped" {
	iconf
	for size in 0 2147483647 2147483648 4294967295 4294967296 \
		9223372036854775807 9223372036854775808 18446744073709551615 \
		18446744073709551616 99999999999999999999; do
		printf 'MAIL FROM:<s@y.example> SIZE=%s\nRCPT TO:<a@x.example>\n' \
			$size
		printf 'DATA\nSubject: %s\n\nx\n.\n' $size
	done >"$P/stream"
	inject --bsmtp <"$P/stream" >"$P/out"
	equal "accepted 10 rejected 0 suppressed 0" "$(cat "$P/out")"
	for size in 999999999999999999999 -1 +1 0x10 1e9 '' 1k ' 5'; do
		run --separate-stderr inject --bsmtp <<-END
			MAIL FROM:<s@y.example> SIZE=$size
			RCPT TO:<a@x.example>
			DATA
			x

			.
		END
		equal 65 "$status" "SIZE=$size"
	done
	equal 10 "$(rcpts | wc -l)"
}

@test "V17: 2 GiB and an octet: refused at the limit, in little memory" {
	iconf
	run --separate-stderr in_memory 1000000 inject a@x.example \
		< <(endless 2147483649)
	equal 65 "$status"
	# shellcheck disable=SC2154 # run sets stderr
	[[ $stderr == *"message over 104857600 octets"* ]] ||
		fail "said: $stderr"
	equal '' "$(batches)"
	# A hole in a file is NULs.
	run --separate-stderr in_memory 1000000 inject a@x.example <"$P/sparse"
	equal 65 "$status"
	[[ $stderr == *"NUL octet"* ]] || fail "said: $stderr"
}

# bats test_tags=slow
@test "V17: 2 GiB and an octet in a stream: the next message is accepted" {
	iconf
	{
		printf 'MAIL FROM:<s@y.example> SIZE=2147483649\n'
		printf 'RCPT TO:<a@x.example>\nDATA\n'
		endless 2147483649
		printf '\n.\n'
		printf 'MAIL FROM:<s@y.example>\nRCPT TO:<b@x.example>\n'
		printf 'DATA\nSubject: y\n\ny\n.\n'
	} | {
		run --separate-stderr in_memory 1000000 inject --bsmtp
		equal 1 "$status"
		equal "accepted 1 rejected 1 suppressed 0" "$output"
		[[ $stderr == *"message too large"* ]] || fail "said: $stderr"
	}
	equal "0 b@x.example" "$(rcpts)"
}

@test "V17: a pool's counter at its end goes on with the pool" {
	iconf
	mkdir -p "$P/spool/state/counter"
	inject --vmta even a@x.example <<<'x: y'
	counter=$(find "$P/spool/state/counter" -type f)
	equal 1 "$(wc -l <<<"$counter")"
	for value in 18446744073709551613 18446744073709551616 -1 x ''; do
		echo "$value" >"$counter"
		for i in 1 2 3 4 5 6; do
			inject --vmta even "a$i@x.example" <<<'x: y'
		done
	done
	equal 31 "$(batches | wc -l)"
	# Each of the three had its share, whatever stood there.
	for vmta in a b c; do
		n=$(batches | grep -c "^$vmta/")
		((n >= 7 && n <= 13)) || fail "$vmta has $n of 31"
	done
}
