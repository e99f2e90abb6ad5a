#!/bin/sh
# A program in place of a worker, for the tests of processes: it runs what the file `script` in its scratch folder says.
arguments="$*"
read -r line
here=$(printf '%s' "$line" | sed 's/.*"scratch":"\([^"]*\)".*/\1/')
. "$here/script"
