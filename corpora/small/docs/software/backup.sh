#!/bin/sh
# backup.sh: copies a folder to a dated snapshot and keeps the last seven.
# Unchanged files are hard links to the previous snapshot, so they take no space.
set -eu

source=${1:?usage: backup.sh SOURCE TARGET}
target=${2:?usage: backup.sh SOURCE TARGET}
today=$(date +%Y-%m-%d)

rsync -a --delete --link-dest="$target/latest" "$source/" "$target/$today/"
ln -sfn "$today" "$target/latest"

# prune: all but the newest seven snapshots
ls -d "$target"/????-??-?? | sort -r | tail -n +8 | while read -r old; do
    rm -rf "$old"
done
