#!/bin/bash
# All shell scripts and bats files, by shellcheck.
. "$(dirname "$0")/files.bash"
need shellcheck

# SC1090, SC1091: sourced files are found at run time; SC2034, SC2154: variables
# of bats and of helpers ($output, $SINK_PID); SC2030, SC2031: each bats test is
# a subshell; SC2164: bats runs with -e; SC2174: mkdir -p -m means the last.
not=SC1090,SC1091,SC2030,SC2031,SC2034,SC2154,SC2164,SC2174
mapfile -t scripts < <(shell_files)
shellcheck --severity=warning --exclude=$not "${scripts[@]}"
