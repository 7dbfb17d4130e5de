# The helpers of the bats files themselves.

load helper/common

teardown() {
	end_test
}

@test "wait_until succeeds as soon as a thing is so, and gives up" {
	(wait_until test -e "$BATS_TEST_TMPDIR/there" &&
		touch "$BATS_TEST_TMPDIR/seen") 3>&- &
	own $!
	[ ! -e "$BATS_TEST_TMPDIR/seen" ]
	touch "$BATS_TEST_TMPDIR/there"
	wait_until test -e "$BATS_TEST_TMPDIR/seen"
	run wait_until -t 0 false
	[ "$status" != 0 ]
	[[ $output == *"not so within 0 s: false"* ]]
}

@test "end_test ends what was started, and what ended already" {
	local first
	start one sleep 1000
	first=$STARTED
	start two sleep 1000
	kill -s KILL "$STARTED"
	alive "$first"
	end_test
	gone "$first"
	gone "$STARTED"
	[ ! -e "$BATS_TEST_TMPDIR/.pids" ]
}

@test "a pid that was used again is left alone" {
	start one sleep 1000
	printf '%s 1\n' "$STARTED" >"$BATS_TEST_TMPDIR/.pids"
	end_test
	alive "$STARTED"
	end "$STARTED"
}

@test "a sink that cannot start fails the test and says why" {
	run start_sink -l 127.0.0.1:0 --reply nonsense
	[ "$status" != 0 ]
	[[ $output == *"not a rule: nonsense"* ]]
}

@test "json and csv" {
	equal "1 3" "$(printf '{"a":1}\n{"b":2}\n{"a":3}\n' |
		json 'x.get("a")' | xargs)"
	equal "x,y	2" "$(printf 'a,b,c\r\n"x,y",1,2\r\nz,2,3\r\n' |
		csv a c b=1)"
}

@test "namespaces: sources of connections, counted on the wire" {
	need_netns
	ns_make mta
	ns_make mx
	ns_link mta mx
	ns_addr mta 10.99.0.1/24 to-mx
	ns_addr mta 10.99.0.2/24 to-mx
	ns_addr mta fd99::1/64 to-mx
	ns_addr mx 10.99.0.100/24 to-mta
	ns_addr mx fd99::100/64 to-mta
	ns_count mta
	NS=mx start_sink -l 10.99.0.100:25 -l '[fd99::100]:='
	for from in 10.99.0.1 10.99.0.2 10.99.0.2; do
		ns_run mta /usr/bin/python3 "$HELPER/talk.py" 10.99.0.100:25 \
			$from <<<'< 220'
	done
	ns_run mta /usr/bin/python3 "$HELPER/talk.py" '[fd99::100]:25' \
		fd99::1 <<<'< 220'
	equal "10.99.0.1 1
10.99.0.2 2
fd99::1 1" "$(ns_syns mta)"
	equal "10.99.0.1 10.99.0.2 fd99::1" "$(sink_sources | xargs)"
	ns_addr_del mta 10.99.0.2/24 to-mx
	run ns_run mta /usr/bin/python3 "$HELPER/talk.py" 10.99.0.100:25 \
		10.99.0.2 <<<'< 220'
	[ "$status" != 0 ]
	end_test
	refute grep -q "$(ns_name mta)" <(ip netns list)
}
