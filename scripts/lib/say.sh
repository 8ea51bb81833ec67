# shellcheck shell=bash
# What the scripts say, and how they run a long step: quietly, into a log, with a sign of life. Sourced, never run.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  say_bold=$'\e[1m' say_red=$'\e[31m' say_green=$'\e[32m' say_dim=$'\e[2m' say_plain=$'\e[0m'
else
  say_bold='' say_red='' say_green='' say_dim='' say_plain=''
fi

# Seconds between two signs of life of a step that takes long.
say_heartbeat_s=${PERCH_HEARTBEAT_S:-20}

say() { printf '%s\n' "$*"; }
say_heading() { printf '\n%s== %s%s\n' "$say_bold" "$*" "$say_plain"; }
say_error() { printf '%s%s%s\n' "$say_red" "$*" "$say_plain" >&2; }

# A failure that ends the script, as one sentence that says what to do next.
die() {
  say_error "${0##*/}: $*"
  exit 1
}

# 75 -> 1:15
say_elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# say_step LOG TITLE COMMAND… : runs COMMAND with its output in LOG, shows the last line of it now and then, and its
# end when it fails. Returns what COMMAND returned. COMMAND may be a shell function.
say_step() {
  local log=$1 title=$2 started=$SECONDS status=0 pid shown=0 last
  shift 2
  mkdir -p "$(dirname "$log")"
  say_last_elapsed_s=0
  printf '%s … ' "$title"
  [[ -t 1 ]] || printf '\n'
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - started >= shown + say_heartbeat_s)); then
      shown=$((SECONDS - started))
      last=$(tail -c 400 "$log" | tr '\r' '\n' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | grep -v '^[[:space:]]*$' | tail -n 1 || true)
      printf '%s\n   %s  %s%s' "$say_dim" "$(say_elapsed "$shown")" "${last:0:100}" "$say_plain"
      [[ -t 1 ]] || printf '\n'
    fi
  done
  wait "$pid" || status=$?
  say_last_elapsed_s=$((SECONDS - started))
  if ((shown > 0)); then printf '\n%s ' "$title"; elif [[ ! -t 1 ]]; then printf '   '; fi
  if ((status == 0)); then
    printf '%sdone%s (%s)\n' "$say_green" "$say_plain" "$(say_elapsed "$say_last_elapsed_s")"
  else
    printf '%sfailed%s (%s), the end of %s:\n' "$say_red" "$say_plain" "$(say_elapsed "$say_last_elapsed_s")" "$log"
    tail -n 60 "$log" | sed 's/^/   | /'
  fi
  return "$status"
}
