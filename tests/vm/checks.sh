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
