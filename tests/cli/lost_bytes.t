A model's file that is cut short while it is in use ends the program with a message.

  $ echo a | semsearch embed > /dev/null && mkfifo lines
  $ semsearch embed < lines > out 2>&1 & exec 3> lines
  > until grep -q packed /proc/$!/maps; do sleep 0.05; done
  > truncate -s 0 "$XDG_CACHE_HOME"/semsearch/models/*; echo b >&3; exec 3>&-; wait $!; echo "[$?]"; sed 's/(.*)//' out
  [2]
  semsearch: a file that was in use  was cut short by another program
    run it again
