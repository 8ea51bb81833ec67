// The icons: drawn here on a 24 grid, in the colour of the text, silent to screen readers.
import type { ComponentChildren } from "preact";

function icon(children: ComponentChildren, filled = false) {
  return () => (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" data-filled={filled || undefined}>
      {children}
    </svg>
  );
}

export const Play = icon(<path d="M7.5 4.8v14.4a.6.6 0 0 0 .9.5l11.7-7.200a.6.6 0 0 0 0-1L8.4 4.300a.6.6 0 0 0-.9.5z" />, true);
export const Pause = icon(<path d="M7 4.500h2.800v15H7zM14.2 4.500H17v15h-2.800z" />, true);
export const SoundOn = icon(<path d="M4 9.500v5h3.200L12 18.500v-13L7.2 9.500zM15.3 9a4.2 4.2 0 0 1 0 6M17.8 6.500a7.8 7.8 0 0 1 0 11" />);
export const SoundOff = icon(<path d="M4 9.500v5h3.200L12 18.500v-13L7.2 9.500zM15.5 9.500l5 5M20.5 9.500l-5 5" />);
export const Expand = icon(<path d="M4.5 9V4.500H9M15 4.500h4.500V9M19.5 15v4.500H15M9 19.500H4.500V15" />);
export const Shrink = icon(<path d="M9 4.500V9H4.500M19.5 9H15V4.500M15 19.500V15h4.500M4.5 15H9v4.5" />);
export const Shutter = icon(
  <>
    <path d="M4 7.500h3.500l1.5-2h6l1.5 2H20a.8.8 0 0 1 .8.8v9.900a.8.8 0 0 1-.8.800H4a.8.8 0 0 1-.8-.8V8.300a.8.8 0 0 1 .8-.8z" />
    <circle cx="12" cy="13" r="3.4" />
  </>,
);
export const Check = icon(<path d="m5 12.5 4.5 4.500L19 7.5" />);
export const Close = icon(<path d="M6 6l12 12M18 6 6 18" />);
export const Plus = icon(<path d="M12 6v12M6 12h12" />);
export const Minus = icon(<path d="M6 12h12" />);
export const Left = icon(<path d="m14.5 6-6 6 6 6" />);
export const Right = icon(<path d="m9.5 6 6 6-6 6" />);
export const Download = icon(<path d="M12 4v11M7.5 10.500 12 15l4.500-4.500M5 19.500h14" />);
export const Bin = icon(<path d="M4.500 7h15M9.500 7V4.500h5V7M6.500 7l.8 12.500h9.400L17.500 7M10.300 10.500v5.500M13.700 10.500v5.500" />);
export const Upload = icon(<path d="M12 15.500v-11M7.5 9 12 4.500 16.500 9M5 19.500h14" />);
export const Picture = icon(
  <>
    <path d="M4.800 5h14.400a.8.8 0 0 1 .8.800v12.400a.8.8 0 0 1-.8.800H4.800a.8.8 0 0 1-.8-.8V5.800a.8.8 0 0 1 .8-.8zM4 16l4.500-4.500 4 4 2.500-2.500 5 5" />
    <circle cx="14.800" cy="9.200" r="1.500" />
  </>,
);
export const Paper = icon(<path d="M7 3.800h6.500L18 8.300v11a.8.8 0 0 1-.8.800H7a.8.8 0 0 1-.8-.8V4.600a.8.8 0 0 1 .8-.8zM13.300 4v4.500h4.500" />);
export const Help = icon(
  <>
    <circle cx="12" cy="12" r="8.6" />
    <path d="M9.7 9.700a2.4 2.4 0 1 1 3.5 2.200c-.8.4-1.2.9-1.2 1.700v.3M12 16.600v.1" />
  </>,
);
export const Sun = icon(
  <>
    <circle cx="12" cy="12" r="3.8" />
    <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.600l1.4 1.400M17 17l1.4 1.400M5.6 18.4 7 17M17 7l1.4-1.4" />
  </>,
);
export const Moon = icon(<path d="M19.5 14.300A8 8 0 0 1 9.7 4.500a8 8 0 1 0 9.8 9.800z" />);
export const Auto = icon(
  <>
    <circle cx="12" cy="12" r="7.8" />
    <path class="fill" d="M12 4.200a7.8 7.8 0 0 1 0 15.600z" />
  </>,
);
export const Alert = icon(<path d="M12 4 3 19.500h18zM12 10v4.500M12 17v.1" />);
export const Unplugged = icon(<path d="M4 4l16 16M8.5 8.5 6 11v3a4 4 0 0 0 4 4h2.500M12 18v3M10 3v3M16 3v5M12.5 8H18v5.5" />);

export const Bird = () => (
  <svg class="bird" viewBox="0 0 32 32" aria-hidden="true">
    <path class="branch" d="M4 26h24" />
    <path d="M7 21.500C7 14.6 11.6 9 17.7 9a5.3 5.3 0 0 1 5.3 5.300l3 1.6-3.3 1.200c-.8 3.9-4.1 6.6-8.4 6.600H7z" />
    <circle class="eye" cx="18.3" cy="13.9" r="1.4" />
  </svg>
);
