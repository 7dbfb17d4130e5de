#!/bin/bash
# All shell scripts and bats files, by shellcheck.
. "$(dirname "$0")/files.bash"
need shellcheck

# SC1090, SC1091: sourced files are found at run time; SC2154: bats' own
# variables ($output, $status); SC2030, SC2031: each bats test is a subshell;
# SC2174: mkdir -p -m means the last directory.
mapfile -t scripts < <(shell_files)
shellcheck --severity=warning --exclude=SC1090,SC1091,SC2030,SC2031,SC2154,SC2174 \
	"${scripts[@]}"
