# libvmta-submit: what is installed, what a program can do with it, and what
# it never does to the program.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/runq

# An installed copy, and programs that were compiled with it.
setup_file() {
	case $BUILD in
	*/asan | */cov | */int) return ;; # setup skips
	esac
	COPY=$BATS_FILE_TMPDIR/copy
	# the libraries of the build that is tested, where files names them
	grep -E 'lib/|vmta-submit|example-submit' "$ROOT/share/files" \
		>"$BATS_FILE_TMPDIR/files"
	mkdir "$BATS_FILE_TMPDIR/tree"
	cp -r "$ROOT/lib" "$ROOT/share" "$BATS_FILE_TMPDIR/tree/"
	cp -P "$BUILD"/lib/* "$BATS_FILE_TMPDIR/tree/lib/"
	"$BATS_FILE_TMPDIR/tree/share/install" "$BATS_FILE_TMPDIR/files" \
		"$COPY" /opt/v 2>/dev/null
	export COPY=$COPY/opt/v
	export LD_LIBRARY_PATH=$COPY/lib
	export PKG_CONFIG_PATH=$COPY/share/pkgconfig
	cp -r "$BUILD/bin" "$COPY/bin"
	compile gcc -std=c99 example "$COPY/share/doc/example-submit.c"
	compile g++ -std=c++98 example++ -x c++ "$COPY/share/doc/example-submit.c"
	compile gcc -std=gnu17 talk "$ROOT/t/fixtures/api/talk.c"
	compile g++ -std=gnu++17 talk++ -x c++ "$ROOT/t/fixtures/api/talk.c"
}

# compile CC STD NAME ARG...
compile() {
	# shellcheck disable=SC2046 # words
	"$1" "$2" -Wall -Wextra -Wpedantic -Werror -g \
		-o "$BATS_FILE_TMPDIR/$3" "${@:4}" -D_GNU_SOURCE \
		$(pkg-config --cflags --libs vmta-submit) -lpthread
}

setup() {
	need_plain 'the library begins its process on a stack of its own'
	need_command pkg-config gcc g++
	make_prefix
	export INJECT=$BUILD/bin/vmta-inject
	HOSTS="'[127.0.0.1]:1'" rconf1
}

teardown() {
	end_test
}

# calls: the talking program does what standard input says.
calls() {
	"$BATS_FILE_TMPDIR/${TALK:-talk}"
}

# said CALL TEXT: some line of $output says that of the call, and none that the
# program is not as it was.
said() {
	refute grep 'SIGCHLD by\|child is seen\|without O_CLOEXEC\| became ' \
		<<<"$output"
	grep -q "^$1 .*$2" <<<"$output" || fail "no $1 with '$2' in: $output"
}

# The process that serves this test's configuration.
serving() {
	local p
	for p in /proc/[0-9]*; do
		! tr '\0' ' ' 2>/dev/null <"$p/cmdline" |
			grep -q '^vmta-inject --serve' ||
			! tr '\0' '\n' 2>/dev/null <"$p/environ" |
			grep -qx "VMTA_CONFIG=$VMTA_CONFIG" || echo "${p#/proc/}"
	done
}

@test "API: the library shows vmta_ names alone, and needs nothing but libc" {
	run -0 nm -D --defined-only "$COPY/lib/libvmta-submit.so"
	refute grep -v ' vmta_\| A VMTA_SUBMIT_0\|asan\|gcov' <<<"$output"
	equal "$(grep -o 'vmta_[a-z_]*(' "$COPY/include/vmta-submit.h" |
		tr -d '(' | sort -u)" \
		"$(grep -o ' vmta_[a-z_]*' <<<"$output" | tr -d ' ' | sort)"
	case $BUILD in */asan | */cov | */int) return ;; esac
	equal libc.so.6 "$(readelf -d "$COPY/lib/libvmta-submit.so.0" |
		sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')"
	equal libvmta-submit.so.0 "$(readelf -d "$COPY/lib/libvmta-submit.so" |
		sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')"
	run -0 nm -g --defined-only "$COPY/lib/libvmta-submit.a"
	refute grep -v ' vmta_\|^$\|:$' <<<"$output"
}

@test "API: the example, in C and C++, finds vmta-inject beside the library" {
	for ex in example example++; do
		run --separate-stderr -0 "$BATS_FILE_TMPDIR/$ex" b@s.example \
			a@x.example b@y.example
		[[ $output == *'2 accepted' ]]
		equal '' "$stderr"
	done
	# and linked with the archive
	# shellcheck disable=SC2046
	gcc ${SAN:-} -o "$P/static" "$COPY/share/doc/example-submit.c" \
		$(pkg-config --cflags vmta-submit) "$COPY/lib/libvmta-submit.a" \
		|| case $BUILD in */asan | */cov | */int) skip 'sanitized' ;; esac
	run "$P/static" b@s.example a@x.example
	[ "$status" = 0 ] || [[ $output == *'cannot run vmta-inject'* ]]
	equal 8 "$(vqueue count)"
	run --separate-stderr -0 "$BUILD/bin/vmta-queue" list --all --format csv
	equal 4 "$(grep -c ',example,' <<<"$output")"
}

@test "API: a message: settings, recipients with DSN; C and C++ alike" {
	local b
	for TALK in talk talk++; do
		run -0 calls <<-'END'
			open
			begin
			set from s@y.example
			set job weekly
			set envid an id
			set ret headers
			set priority 77
			set at 2099-01-01
			set verp yes
			rcpt a@x.example
			rset notify success,failure
			rset orcpt b@x.example
			data Subject: s
			end
			commit
		END
		equal '' "$(grep -v ' 0 0 $' <<<"$output" | grep -v '^1 of ID, 0')"
		b=$(find "$P/spool/queue" -path '*/new/*' -type f)
		for want in 'job: weekly' 'priority: 77' 'due: 20990101T000000Z' \
			'source: api' 'source-type: api' ' H an+20id s-a=x.example@y.' \
			' SF rfc822;b@x.example a@x.example'; do
			grep -q "$want" "$b" || fail "no '$want' in $(cat "$b")"
		done
		vqueue delete --all
	done
}

@test "API: nothing is in the spool before commit; held, dropped, closed" {
	run -0 calls <<-'END'
		open
		begin
		rcpt a@x.example
		data x: y
		end
		begin
		rcpt b@x.example
		data x: y
		drop
		close
		open
		begin
		set hold yes
		rcpt c@x.example
		data x: y
		end
		commit
	END
	equal "c@x.example	held" \
		"$(vqueue list --all --format csv | csv rcpt state)"
}

@test "API: errors: of a call, of a message, and the next one goes" {
	run -0 calls <<-'END'
		open
		begin
		rcpt a@x..example
		data x: y
		end
		begin
		set priority 1000
		rcpt a@x.example
		end
		begin
		set vmta nobody
		rcpt a@x.example
		data x: y
		end
		end
		rcpt a@x.example
		drop
		begin
		rcpt b@x.example
		data x: y
		end
		commit
	END
	said end '-1 65 recipient .a@x..example.: '
	said end '-1 64 priority: '
	said end '-1 65 unknown VirtualMTA'
	said end '-1 64 end: not now'
	said commit '0 0 $'
	equal b@x.example "$(vqueue list --all --format csv | csv rcpt)"
}

@test "API: a merge: columns, values, refused recipients" {
	run -0 calls <<-'END'
		open
		merge
		set from s@y.example
		set dedupe yes
		data Subject: [name] [n]
		column name
		column n
		rcpt a@x.example
		var name Ann
		var n 1
		rcpt bad@
		rcpt b@x.example
		var name Bob
		var n a
		rcpt a@X.example
		var name Ann
		var n 2
		end
	END
	said end '1 1 1 recipients were refused'
	[[ $output == *'2 of ID, 1 refused'*'1: recipient '"'bad@'"* ]] ||
		fail "$output"
	equal "a@x.example	0
b@x.example	2" "$(vqueue list --all --format csv | csv rcpt rcptIndex | sort)"
	run -0 calls <<-'END'
		open
		merge
		data Subject: [name] [other]
		column name
		rcpt a@x.example
		end
	END
	said end '-1 65 undefined variables: .other.'
}

@test "API: many recipients: all refused ones are counted, 10,000 named" {
	run -0 calls <<-'END'
		open
		merge
		data x: y
		many 10100 @
		rcpt a@x.example
		end
	END
	[[ $output == *$'\n''1 of ID, 10100 refused'* ]]
	equal 10000 "$(grep -c "^[0-9]*: recipient 'r" <<<"$output")"
}

@test "API: submit id and one commit" {
	local i
	for i in 1 2; do
		run -0 calls <<-'END'
			open
			id k
			one-commit
			begin
			rcpt a@x.example
			data x: y
			end
			begin
			rcpt b@y.example
			data x: y
			end
			commit
		END
		said commit '0 0 $'
	done
	equal 2 "$(vqueue count)"
	run -0 calls <<<$'open\nid'
	said id '-1 64'
}

@test "API: what keeps it from serving is told by open: configuration, program" {
	echo 'nonsense = 1' >"$P/etc/bad.conf"
	run -0 calls <<<"open $P/etc/bad.conf
begin"
	said open "-1 78 .*bad.conf:1: "
	said begin "-1 78 .*bad.conf:1: "
	INJECT=/nonexistent run -0 calls <<<open
	said open '-1 78 cannot run vmta-inject: No such file'
	INJECT=/bin/false run -0 calls <<<open
	said open '-1 75 vmta-inject has ended'
}

@test "API: its process is killed: an error, nothing of the program ends" {
	local pid
	coproc TALK { exec "$BATS_FILE_TMPDIR/talk"; }
	own "$TALK_PID"
	echo open >&"${TALK[1]}"
	read -r line <&"${TALK[0]}"
	equal 'open 0 0' "$line"
	pid=$(serving)
	kill -KILL "$pid"
	wait_until gone "$pid"
	printf 'begin\nrcpt a@x.example\ndata x: y\nend\nbegin\n' >&"${TALK[1]}"
	for i in 1 2 3; do read -r line <&"${TALK[0]}"; done
	read -r line <&"${TALK[0]}"
	equal 'end -1 75 vmta-inject has ended' "$line"
	read -r line <&"${TALK[0]}"
	read -r line <&"${TALK[0]}"
	equal 'begin -1 75 vmta-inject has ended' "$line"
	end "$TALK_PID"
}

@test "API: a full disk: 75, nothing behind" {
	conf <<-END
		host-name = mta.example
		min-free-space = 1000T
		source 'local' { default-virtual-mta = v1 }
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
	END
	run -0 calls <<-'END'
		open
		begin
		rcpt a@x.example
		data x: y
		end
		commit
		begin
	END
	said end '-1 75 '
	said commit '-1 75 '
	said begin '-1 75 '
	equal 0 "$(vqueue count)"
}

@test "API: four threads with a handle each; a fork" {
	run -0 calls <<<$'open\nthreads\nfork\nbegin\nrcpt a@x.example\ndata x: y\nend\ncommit'
	said threads '0 0'
	said fork '0 0'
	said commit '0 0'
	equal 201 "$(vqueue count)"
}

@test "API: the caller's descriptors, and closed ones" {
	# neither what the program has open is inherited, nor are 0 to 2 needed
	run -0 calls 9</dev/null <<<$'open\nbegin\nrcpt a@x.example\ndata x: y\nend'
	said end '0 0'
	run -0 "$BATS_FILE_TMPDIR/example" b@s.example a@x.example <&- 2>&-
	equal 2 "$(vqueue count)"
}

@test "API: a user of the host: his source, through the set-uid vmta-inject" {
	need_root
	need_user nobody
	local dir
	dir=$(mktemp -d "${TMPDIR:-/tmp}/vmta-api.XXXXXX")
	echo "$dir" >>"$BATS_TEST_TMPDIR/.dirs"
	chmod 755 "$dir"
	mkdir "$dir/bin" "$dir/etc"
	install -d -o games -m 700 "$dir/spool"
	install -o games -m 4755 "$BUILD/bin/vmta-inject" "$dir/bin"
	cp -r "$COPY/lib" "$BATS_FILE_TMPDIR/talk" "$dir"
	sed '/log-file\|acct-file/d' "$P/etc/vmta.conf" >"$dir/etc/vmta.conf"
	unset VMTA_CONFIG INJECT
	LD_LIBRARY_PATH=$dir/lib run -0 setpriv --reuid nobody --regid nogroup \
		--clear-groups "$dir/talk" \
		<<<$'open\nbegin\nset from s@y.example\nrcpt a@x.example\ndata x: y\nend\ncommit'
	said commit '0 0'
	grep -rq '^source: user:nobody' "$dir/spool/queue"
	equal '' "$(find "$dir/spool" ! -user games)"
}

@test "V02, V08: line ends and options in what a program says" {
	local cr=$'\r' bad
	for bad in "set from a$cr@x.example" "rcpt a$cr@x.example" \
		"set from a@x.example> SIZE=1" "rcpt a@x.example NOTIFY=NEVER" \
		"set job a${cr}b" "set vmta ../x" "rcpt -t" 'rcpt |/bin/sh'; do
		run -0 calls <<<"open
begin
$bad
rcpt b@x.example
data x: y
end
commit"
		said end '-1 65 '
		equal 0 "$(vqueue count)"
	done
	run -0 calls <<<"open
merge
data Subject: [name]
column name
rcpt b@x.example
var name a${cr}Bcc: c@x.example
end"
	said end '-1 65 no recipient'
	equal 0 "$(vqueue count)"
}

# bats test_tags=slow
@test "API: no leak, no octet read before it was written (valgrind)" {
	need_plain 'valgrind'
	need_command valgrind
	run -0 valgrind -q --error-exitcode=9 --leak-check=full \
		--errors-for-leak-kinds=all "$BATS_FILE_TMPDIR/talk" <<-'END'
		open
		begin
		rcpt a@x.example
		data x: y
		end
		merge
		data x: [a]
		column a
		rcpt b@
		rcpt b@x.example
		var a 1
		end
		commit
		open /nonexistent
		begin
		close
	END
	said commit '0 0'
	[[ $output == *'1 of ID, 1 refused'* ]]
}
