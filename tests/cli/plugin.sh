#!/bin/sh
# A plugin of age: recipient and identity only name it, its key lies beside it. What is wrong with it says the file `mode`.
here=${0%/*}
mode=$(cat "$here/mode" 2>/dev/null)
key=$(cat "$here/key" 2>/dev/null)
crypt() { openssl enc "$1" -aes-128-ctr -K "$key" -iv 00000000000000000000000000000000; }
short() { base64 -w0 | tr -d =; }

# one stanza: what it is, its body
say() { printf -- '-> %s\n%s\n' "$1" "$2"; }
hear() {
  IFS= read -r command || exit 1
  body=
  while IFS= read -r line; do
    body=$body$line
    [ ${#line} -lt 64 ] && break
  done
}

env >"$here/environment"
case $mode in
  dies) exit 1 ;;
  steals) cat >>"$here/stolen" <&3 ;;
  babbles) printf 'hello\nworld\n' ; exit 0 ;;
esac
stanza= wanted=
while hear; do
  case $command in
    '-> done') break ;;
    '-> wrap-file-key') wanted=$body ;;
    '-> recipient-stanza 0 shelltest') stanza=$body ;;
  esac
done
case $mode in
  fails) say 'error internal' "$(printf 'the key is\033[31m unplugged' | short)" ; hear ; say done '' ; exit 0 ;;
  asks)
    say msg "$(printf 'look at the key' | short)"
    hear
    say request-secret "$(printf 'Number of the key:' | short)"
    hear
    [ "$(printf '%s==' "$body" | base64 -d 2>/dev/null)" = 4711 ] || exit 1
    ;;
esac
case $mode in
  swells) say 'recipient-stanza 0 shelltest' "$(head -c 40000 /dev/zero | base64 -w64 | tr -d =)" ; hear
    say 'recipient-stanza 0 shelltest' "$(head -c 40000 /dev/zero | base64 -w64 | tr -d =)" ; hear ;;
  garbles) say "recipient-stanza 0 shell$(printf '\001')test" '' ; hear ;;
esac
say 'a-stanza-that-nobody-knows 1 2 3' ''
hear
[ "$command" = '-> unsupported' ] || exit 1
case $1 in
  --age-plugin=recipient-v1)
    say 'recipient-stanza 0 shelltest' "$(printf '%s==' "$wanted" | base64 -d | crypt -e | short)"
    hear
    ;;
  --age-plugin=identity-v1)
    if [ -n "$stanza" ]; then
      say 'file-key 0' "$(printf '%s==' "$stanza" | base64 -d | crypt -d | short)"
      hear
    fi
    ;;
esac
say done ''
