# The inputs of t/fuzz/corpus, given to every fuzz target: each must hold what
# its target says, in whichever variant this is (under make asan with ASan and
# UBSan). t/fuzz/README says how the corpora came.

load helper/common

setup() {
	CORPUS=$ROOT/t/fuzz/corpus
}

# replay TARGET: all of its files were tried, and nothing was found.
replay() {
	local n
	n=$(find "$CORPUS/$1" -type f | wc -l)
	((n > 0)) || fail "no corpus for $1"
	run timeout 300 "$BUILD/t/fuzz/$1" "$CORPUS/$1"
	equal 0 "$status" "exit of $1: ${output: -2000}"
	equal "$n inputs" "$output" "inputs of $1"
}

@test "every target has a corpus, every corpus a target" {
	equal "$(cd "$ROOT/t/fuzz" && printf '%s\n' *.c |
		sed 's/\.c$//; /^replay$/d')" "$(ls "$CORPUS")"
}

@test "corpora together are small" {
	local size
	size=$(find "$CORPUS" -type f -printf '%s\n' |
		awk '{ n += $1 } END { print n }')
	((size < 1500000)) || fail "$size octets"
}

@test "a replay of what cannot be read fails" {
	run "$BUILD/t/fuzz/reply" "$BATS_TEST_TMPDIR/nothing"
	equal 66 "$status"
	[[ $output == *"cannot read"* ]]
}

@test "FUZZ: batch" { replay batch; }
@test "FUZZ: bsmtp" { replay bsmtp; }
@test "FUZZ: csv" { replay csv; }
@test "FUZZ: mime" { replay mime; }
@test "FUZZ: template" { replay template; }
@test "FUZZ: conf" { replay conf; }
@test "FUZZ: ehlo" { replay ehlo; }
@test "FUZZ: schedule" { replay schedule; }
@test "FUZZ: envelope" { replay envelope; }
@test "FUZZ: header" { replay header; }
@test "FUZZ: image" { replay image; }
@test "FUZZ: journal" { replay journal; }
@test "FUZZ: pickup" { replay pickup; }
@test "FUZZ: reenc" { replay reenc; }
@test "FUZZ: reply" { replay reply; }
@test "FUZZ: session" { replay session; }
@test "FUZZ: state" { replay state; }
@test "FUZZ: stuff" { replay stuff; }
