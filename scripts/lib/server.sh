# shellcheck shell=bash
# Starts a Perch for the tests that look at it from outside, and stops it again. Sourced, never run. Needs: say.sh.

# server_start BINARY LOG ARGUMENT… : starts `perch run` on a port of its own choosing, and waits for the line that
# names the address. Sets server_url and server_pid. Gets precedence where that is allowed, as the systemd unit gives
# it: Linux shares the processors between sessions (sched(7), autogroup), and every process of a browser is one.
server_start() {
  local binary=$1 log=$2 deadline=$((SECONDS + 60))
  shift 2
  setsid "$binary" run --listen 127.0.0.1:0 "$@" >"$log" 2>&1 </dev/null &
  server_pid=$!
  { sleep 0.2 && echo -15 >"/proc/$server_pid/autogroup"; } 2>/dev/null || true
  server_url=''
  while [[ -z $server_url ]]; do
    kill -0 "$server_pid" 2>/dev/null || {
      cat "$log"
      return 1
    }
    ((SECONDS < deadline)) || {
      server_stop
      echo 'perch run named no address within 60 s'
      return 1
    }
    sleep 0.1
    server_url=$(sed -n '/http:\/\//{s|.*\(http://[^ /"]*\).*|\1|p;q}' "$log")
  done
  export server_url
}

# Asks it to stop, as systemd would, and insists after 5 s.
server_stop() {
  [[ -n ${server_pid:-} ]] || return 0
  kill -TERM "$server_pid" 2>/dev/null || true
  local i
  for ((i = 0; i < 50; i++)); do
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=''
}
