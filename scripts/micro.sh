#!/bin/sh
# The micro-benchmarks of this tree beside those of another commit, in turns, so that
# what else the machine does touches both: micro.sh [COMMIT]
set -eu
go=${GO:-go}
rounds=${ROUNDS:-6}
packages="./internal/event ./internal/outbox ./internal/sandbox ./internal/vendors/dmhub"
old=$(mktemp -d)
trap 'git worktree remove --force "$old/tree" 2>/dev/null || true; rm -rf "$old"' EXIT
git worktree add --quiet --detach "$old/tree" "${1:-HEAD}"
mkdir -p bin
i=0
while [ "$i" -lt "$rounds" ]; do
	i=$((i + 1))
	[ -t 2 ] && printf '\rround %d of %d ' "$i" "$rounds" >&2
	(cd "$old/tree" && $go test -run '^$' -bench . -benchtime 200ms $packages) >>"$old/old.txt"
	$go test -run '^$' -bench . -benchtime 200ms $packages >>"$old/new.txt"
done
[ -t 2 ] && printf '\n' >&2
cd "$old" && cp old.txt new.txt "$OLDPWD/bin/"
cd "$OLDPWD" && $go tool -modfile=tools/go.mod benchstat "bin/old.txt" "bin/new.txt"
