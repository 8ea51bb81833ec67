// The page as a whole: bar, player, the panels beside it, what went wrong, the live region.
import { announced } from "./announce.js";
import { Details } from "./details.js";
import { Disk } from "./disk.js";
import { Files } from "./files-panel.js";
import { HelpDialog, helpOpen } from "./help.js";
import { Alert, Auto, Bird, Help, Moon, Sun } from "./icons.js";
import { Player } from "./player.js";
import { Recordings } from "./recordings.js";
import { problems } from "./server.js";
import { nextTheme, theme, themeLabel } from "./settings.js";
import { ShownDialog } from "./shown.js";
import { Tiles } from "./tiles.js";
import { stillTrouble } from "./view.js";
import { boxProblems, sentence } from "./words.js";

/** Moves the focus by hand: the address names the camera, not the place on the page. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

export function App() {
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the picture
      </a>
      <header class="bar">
        <span class="brand">
          <Bird />
          Perch
        </span>
        <span class="push" />
        <ThemeButton />
        <button type="button" class="icon-button" aria-label="Help and shortcuts" title="Help (?)" onClick={() => (helpOpen.value = true)}>
          <Help />
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        <div class="stage">
          <Player />
          <p class="wrong" role="alert">
            {stillTrouble.value}
          </p>
          <Problems />
          <Tiles />
          <Recordings />
          <Files />
        </div>
        <div class="side">
          <Details />
          <Disk />
        </div>
      </main>
      <HelpDialog />
      <ShownDialog />
      <div class="unseen" role="status" aria-live="polite">
        {/* A new element each time: words that stay the same would not be spoken again. */}
        <span key={announced.value.turn}>{announced.value.words}</span>
      </div>
    </>
  );
}

function ThemeButton() {
  const now = theme.value;
  const words = `Colours: ${themeLabel[now]}`;
  return (
    <button type="button" class="icon-button" aria-label={words} title={`${words} (T)`} onClick={() => (theme.value = nextTheme())}>
      {now === "system" ? <Auto /> : now === "light" ? <Sun /> : <Moon />}
    </button>
  );
}

function Problems() {
  const shown = boxProblems(problems.value);
  if (shown.length === 0) return null;
  return (
    <section class="panel problems" aria-label="Problems">
      <ul>
        {shown.map((problem) => (
          <li key={problem.detail}>
            <Alert />
            {sentence(problem.detail)}
          </li>
        ))}
      </ul>
    </section>
  );
}
