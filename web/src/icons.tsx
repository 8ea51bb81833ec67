// The icons: drawn here on a 24 grid, in the colour of the text, silent to screen readers.
import type { ComponentChildren } from "preact";

function icon(children: ComponentChildren, filled = false) {
  return () => (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" data-filled={filled || undefined}>
      {children}
    </svg>
  );
}

export const Play = icon(<path d="M7.5 4.8v14.4a.6.6 0 0 0 .9.5l11.700-7.200a.6.6 0 0 0 0-1L8.400 4.300a.6.6 0 0 0-.9.5z" />, true);
export const Pause = icon(<path d="M7 4.500h2.800v15H7zM14.200 4.500H17v15h-2.800z" />, true);
export const SoundOn = icon(<path d="M4 9.500v5h3.200L12 18.500v-13L7.200 9.500zM15.300 9a4.200 4.200 0 0 1 0 6M17.800 6.500a7.800 7.800 0 0 1 0 11" />);
export const SoundOff = icon(<path d="M4 9.500v5h3.200L12 18.500v-13L7.200 9.500zM15.500 9.500l5 5M20.500 9.500l-5 5" />);
export const Expand = icon(<path d="M4.500 9V4.500H9M15 4.500h4.500V9M19.500 15v4.500H15M9 19.500H4.500V15" />);
export const Shrink = icon(<path d="M9 4.500V9H4.500M19.500 9H15V4.500M15 19.500V15h4.500M4.500 15H9v4.500" />);
export const Shutter = icon(
  <>
    <path d="M4 7.500h3.500l1.500-2h6l1.500 2H20a.8.8 0 0 1 .8.8v9.900a.8.8 0 0 1-.8.800H4a.8.8 0 0 1-.8-.8V8.300a.8.8 0 0 1 .8-.8z" />
    <circle cx="12" cy="13" r="3.400" />
  </>,
);
export const Check = icon(<path d="m5 12.500 4.500 4.500L19 7.500" />);
export const Close = icon(<path d="M6 6l12 12M18 6 6 18" />);
export const Help = icon(
  <>
    <path d="M9.200 9.200a2.900 2.900 0 1 1 4.300 2.600c-1 .6-1.500 1.100-1.500 2.200" />
    <path d="M12 17.200v.1" />
  </>,
);
export const Sun = icon(
  <>
    <circle cx="12" cy="12" r="3.800" />
    <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600l1.400 1.400M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400" />
  </>,
);
export const Moon = icon(<path d="M19.500 14.300A8 8 0 0 1 9.700 4.500a8 8 0 1 0 9.800 9.800z" />);
export const Auto = icon(
  <>
    <circle cx="12" cy="12" r="7.800" />
    <path class="fill" d="M12 4.200a7.800 7.800 0 0 1 0 15.600z" />
  </>,
);
export const Alert = icon(<path d="M12 4 3 19.500h18zM12 10v4.500M12 17v.1" />);
export const Unplugged = icon(<path d="M4 4l16 16M8.500 8.500 6 11v3a4 4 0 0 0 4 4h2.500M12 18v3M10 3v3M16 3v5M12.500 8H18v5.500" />);

export const Bird = () => (
  <svg class="bird" viewBox="0 0 32 32" aria-hidden="true">
    <path class="branch" d="M4 26h24" />
    <path d="M7 21.500C7 14.600 11.600 9 17.700 9a5.300 5.300 0 0 1 5.300 5.300l3 1.600-3.300 1.200c-.8 3.900-4.100 6.600-8.400 6.600H7z" />
    <circle class="eye" cx="18.300" cy="13.900" r="1.400" />
  </svg>
);
