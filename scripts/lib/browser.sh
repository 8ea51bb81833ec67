# shellcheck shell=bash
# Finds or brings a Chromium for the tests that look at the page. Sourced, never run.
# Needs: $root, say.sh, apt.sh, node.sh.

# What drives the browser, as its lock file names it.
browser_driver_fetch() {
  [[ $root/tests/browser/node_modules/.package-lock.json -nt $root/tests/browser/package-lock.json ]] ||
    (cd "$root/tests/browser" && npm ci --no-audit --no-fund)
}

# Tells the tests which browser to take: the system's, or the one fetched before.
browser_use() {
  local name found
  for name in "${CHROMIUM:-}" chromium google-chrome google-chrome-stable; do
    if [[ -n $name ]] && found=$(command -v "$name"); then
      export CHROMIUM=$found
      return 0
    fi
  done
  found=$(find "$root/.cache/browser" -type f \( -name chrome -o -name headless_shell -o -name chrome-headless-shell \) -perm -u+x -print -quit 2>/dev/null) || true
  [[ -n $found ]] || return 1
  export CHROMIUM=$found
}

# The system's, or where it has none as a package (Ubuntu has it as a snap, which tests cannot drive) Playwright's build.
browser_ensure() {
  if browser_use; then return 0; fi
  apt_update
  if apt_is_offered "$(packages_for chromium | cut -f 2)"; then
    apt_ensure chromium
  else
    say "Chromium: this system has no package of it; taking the build that Playwright offers, into .cache/browser"
    node_ensure
    say_step "$root/.cache/logs/browser-driver.log" 'fetching what drives the browser' browser_driver_fetch || die 'npm ci failed in tests/browser'
    say_step "$root/.cache/logs/browser-libraries.log" 'installing the libraries that Chromium needs' \
      apt_as_root env "PATH=$PATH" node "$root/tests/browser/node_modules/playwright-core/cli.js" install-deps chromium ||
      die 'the libraries that Chromium needs could not be installed'
    say_step "$root/.cache/logs/browser.log" 'fetching Chromium' \
      env PLAYWRIGHT_BROWSERS_PATH="$root/.cache/browser" node "$root/tests/browser/node_modules/playwright-core/cli.js" install --only-shell chromium ||
      die 'Chromium could not be fetched; install any Chromium or Chrome, or name one in CHROMIUM, then run this again'
  fi
  browser_use || die 'Chromium was installed, but is not found; name it in CHROMIUM'
}
