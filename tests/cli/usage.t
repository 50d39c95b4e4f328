Without a command: the overview on standard error, exit 2.

  $ semsearch 2>/dev/null
  [2]
  $ semsearch --help | head -n 4
  semsearch: search your own documents by meaning, on this machine
  
    semsearch index ~/notes
    semsearch query "why did the deploy fail"

Unknown commands, options and values name the nearest.

  $ semsearch qurey x
  semsearch: unknown command 'qurey'
    did you mean 'query'?
  [2]
  $ semsearch find x
  semsearch: unknown command 'find'
    `semsearch help` lists the commands; to search, write: semsearch query "find"
  [2]
  $ semsearch query --limt 3 x
  semsearch: unknown option '--limt' of 'query'
    did you mean '--limit'?
  [2]
  $ semsearch query --json --mode fuzzy x
  semsearch: 'fuzzy' is no value for --mode
    expected hybrid|vector|keyword
  {"schema":1,"error":{"kind":"usage","message":"'fuzzy' is no value for --mode","hint":"expected hybrid|vector|keyword"}}
  [2]
  $ semsearch index --max-file-size huge
  semsearch: 'huge' is not a size
    write a number of bytes, or with k, M, G: 500k, 64M, 2G
  [2]
  $ semsearch query -k 0 x
  semsearch: '0' is no value for --limit
    expected a whole number from 1
  [2]
  $ semsearch query -k
  semsearch: option '-k' needs a value
  [2]
  $ semsearch status --json=yes
  semsearch: option '--json' takes no value
  [2]
  $ semsearch files --context 3
  semsearch: unknown option '--context' of 'files'
    '--context' belongs to: query similar
  [2]
  $ semsearch -k 3
  semsearch: '-k' stands where a command is expected
    semsearch COMMAND [OPTIONS]; `semsearch help` lists the commands
  [2]
  $ semsearch query -z x
  semsearch: unknown option '-z' of 'query'
    `semsearch query --help` lists the options; put `--` before a text that begins with a dash
  [2]
  $ semsearch query --min-score 2 x
  semsearch: '2' is no value for --min-score
    expected a number from 0 to 1
  [2]
  $ semsearch eval serch --data x
  semsearch: unknown task 'serch'
    did you mean 'search'?
  [2]
  $ semsearch model lsit
  semsearch: unknown 'model' command 'lsit'
    did you mean 'list'?
  [2]
  $ semsearch completions tcsh
  semsearch: no completions for 'tcsh'
    choose bash, zsh or fish (or man for the manual page)
  [2]
  $ semsearch index nowhere
  semsearch: cannot index 'nowhere': No such file or directory
    give a folder that exists
  [2]
  $ semsearch query --kind pdff x
  semsearch: unknown kind 'pdff'
    did you mean 'pdf'?
  [2]
  $ semsearch query --since yesterday x
  semsearch: 'yesterday' is not a date
    write YYYY-MM-DD, or RFC 3339 such as 2026-03-01T12:00:00Z
  [2]

Every command explains itself with a worked example.

  $ for c in $(semsearch --help | sed -n '/^Commands/,/^$/p' | awk '/^  [a-z]/ {print $1}'); do
  >     semsearch $c --help | grep -q '^Example:' || echo "no example: $c"
  > done
  $ semsearch help query | head -n 1
  semsearch query [OPTIONS] TEXT...

Without an index: exit 4 and the way out.

  $ semsearch query x
  semsearch: no index in '*/cwd' or any folder above it (glob)
    make one: semsearch index DIR (or name one with --index)
  [4]
  $ semsearch query --json x 2>/dev/null
  {"schema":1,"error":{"kind":"no-index","message":"no index in '*/cwd' or any folder above it","hint":"make one: semsearch index DIR (or name one with --index)"}} (glob)
  [4]
  $ semsearch status --index nowhere
  semsearch: no index at 'nowhere'
    make one: semsearch index --index 'nowhere' DIR
  [4]

Output that cannot be written is an error; a reader that goes away is none worth a word.

  $ semsearch help > /dev/full
  semsearch: cannot write to standard output: No space left on device
  [2]
  $ (trap '' PIPE; semsearch completions bash; echo $? >&2) 2>&1 >&1 | head -c 1 | wc -c
  1

Completions and the manual page are complete.

  $ semsearch completions bash > c.bash && bash -n c.bash
  $ commands=$(semsearch help | sed '1,/^Commands:/d; /^$/,$d' | wc -l); test "$commands" -gt 15
  $ test "$(semsearch completions man | grep -c '^\.SS')" = "$commands"
  $ test "$(semsearch completions fish | grep -c -- '-l json ')" = "$commands"

Values are named too, and nothing extra is swallowed; formats are told with their programs.

  $ semsearch query --mode vectr x
  semsearch: 'vectr' is no value for --mode
    did you mean 'vector'? (hybrid|vector|keyword)
  [2]
  $ semsearch files --kind pfd
  semsearch: unknown kind 'pfd'
    did you mean 'pdf'?
  [2]
  $ semsearch version now
  semsearch: unexpected argument 'now'
  [2]
  $ semsearch --help | grep -c -e 'built in: text markdown' -e 'pdf (pdftotext)'; semsearch index --help | grep -c 'pdf (pdftotext)'
  2
  1
  $ for c in $(semsearch --help | sed -n 's/^  \([a-z]*\)   *[a-z].*/\1/p'); do semsearch $c --help | grep -q '^Example:' || echo $c; done; semsearch index --help | awk 'length > 100'

Streams that the caller closed are never taken for files of the index.

  $ mkdir closed && cd closed && echo text > a.txt && semsearch index -q <&- >&- 2>&-; echo $?
  2
  $ semsearch index -q --model nowhere 2>&-; echo $?; semsearch verify && cd ..
  2
  the index is sound
