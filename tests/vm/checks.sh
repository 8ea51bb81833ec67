# shellcheck shell=bash
# What scenarios that look at the appliance from outside the machine say and ask. Sourced after machine.sh; `url` leads
# to the appliance, `failures` counts.

failures=0

# WHAT COMMAND...: the command must succeed. What it prints indented by five is shown.
expect() {
  local what=$1 said=$machine_folder/said
  shift
  if "$@" >"$said" 2>&1; then
    echo "ok   $what"
    grep '^     ' "$said" || true
  else
    echo "FAIL $what: $*"
    tail -n 20 "$said"
    failures=$((failures + 1))
  fi
}

# SECONDS COMMAND...: until it succeeds. Generous: the machine is emulated on a host that is busy.
within() { machine_wait "$@"; }

get() { curl -fsS --max-time 20 "$url$1"; }
answers() { get "$1" >/dev/null 2>&1; }

# One camera's object of the list. Compact JSON without nested ids, so text tools suffice.
camera() { get /api/v1/cameras | tr -d '\n' | sed 's/{"id":/\n&/g' | grep "^{\"id\":\"$1\""; }
state() { camera "$1" | grep -o '"state":"[a-z]*"' | head -n 1 | cut -d '"' -f 4; }
is() { [ "$(state "$1")" = "$2" ]; }
gaps() { camera "$1" | grep -o '"gaps":\[[^]]*\]' | grep -o '"from":[^}]*' || true; }
gap_count() { gaps "$1" | wc -l; }
has_gaps() { [ "$(gap_count "$1")" -eq "$2" ]; }
has_gaps_closed() { [ "$(gaps "$1" | grep -vc '"to":null')" -ge "$2" ] && ! gaps "$1" | grep -q '"to":null'; }
# How long the last one was.
last_gap_ms() {
  local from to
  from=$(gaps "$1" | tail -n 1 | sed 's/.*"from":"\([^"]*\)".*/\1/')
  to=$(gaps "$1" | tail -n 1 | sed 's/.*"to":"\([^"]*\)".*/\1/')
  echo $(($(date -d "$to" +%s%3N) - $(date -d "$from" +%s%3N)))
}
# A counter of one camera: NAME CAMERA.
metric() { get /metrics | sed -n "s/^perch_$1\(_total\)\?{[^}]*camera=\"$2\"[^}]*} \([0-9]*\).*/\2/p" | head -n 1; }
grew() { [ "$(metric "$1" "$2")" -gt "$3" ]; }

# CAMERA: goes on, and leaves every picture where the driver put it, for three seconds. Where the encoder cannot keep up
# with the camera copies are made, so that this may have to be waited for.
copies_nothing() {
  local copied frames
  copied=$(metric capture_frame_copies "$1") frames=$(metric capture_frames "$1")
  sleep 3
  grew capture_frames "$1" $((frames + 15)) && [ "$(metric capture_frame_copies "$1")" = "$copied" ]
}

rendition() { get "/live/$1/master.m3u8" | grep -v '^#' | head -n 1; }
playlist() { get "/live/$1/$(rendition "$1")"; }
has_segment() { playlist "$1" | grep -q '^#EXTINF'; }
media_sequence() { playlist "$1" | sed -n 's/^#EXT-X-MEDIA-SEQUENCE://p'; }

# The appliance `$perch` inside the machine, with the configuration that was written to perch.toml there.
start_perch() {
  guest "'$perch' run --config /run/guest/perch.toml --data /run/guest/data >>/run/exchange/log-perch 2>&1 & echo \$! >/run/guest/perch.pid"
}
# SIGNAL: sends it; fails if perch is gone.
signal_perch() { guest "kill -$1 \$(cat /run/guest/perch.pid)"; }
perch_runs() { signal_perch 0; }
perch_is_gone() { ! perch_runs; }
