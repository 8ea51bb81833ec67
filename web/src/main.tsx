// Starts the page: draws it, asks the server, hands keys to their commands.
import { render } from "preact";
import { App } from "./app.js";
import { helpOpen } from "./help.js";
import { commandFor, repeats, type Command } from "./keys.js";
import { toggleFullScreen } from "./player.js";
import { watchParts } from "./parts.js";
import { cameras, watchServer } from "./server.js";
import { nextTheme, singleKeys, theme } from "./settings.js";
import { watchTimeline } from "./timeline.js";
import { changeVolume, engine, goLive, saveStill, toggleMuted, watch } from "./view.js";

function carryOut(command: Command): void {
  switch (command.do) {
    case "play-pause":
      return engine.peek()?.togglePlay();
    case "mute":
      return toggleMuted();
    case "full-screen":
      return toggleFullScreen();
    case "help":
      helpOpen.value = true;
      return;
    case "go-live":
      return goLive();
    case "still":
      return void saveStill();
    case "theme":
      theme.value = nextTheme();
      return;
    case "volume":
      return changeVolume(command.by);
    case "seek":
      return engine.peek()?.seekBy(command.by);
    case "camera": {
      const chosen = cameras.peek()?.[command.index];
      if (chosen) watch(chosen.id);
    }
  }
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || !singleKeys.peek() || document.querySelector("dialog[open]")) return;
  const focused = document.activeElement;
  const command = commandFor({
    key: event.key,
    ctrlKey: event.ctrlKey,
    metaKey: event.metaKey,
    altKey: event.altKey,
    focus: (focused?.getAttribute("role") ?? focused?.tagName ?? "").toLowerCase(),
    inPlayer: !!focused?.closest(".player") || !!document.fullscreenElement,
  });
  if (!command) return;
  event.preventDefault();
  if (!event.repeat || repeats(command)) carryOut(command);
});

watchServer();
watchTimeline();
watchParts();
render(<App />, document.getElementById("app")!);
