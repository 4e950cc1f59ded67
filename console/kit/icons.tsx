/** Icons, drawn on a grid of 16 with a line of 1.5. */
const shapes = {
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3 8.5l3.2 3.2L13 5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.4 10.4L14 14",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6l7.5-4.8z",
  stop: "M4 4h8v8H4z",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.5 9h6l.5-9",
  edit: "M3 13l.6-2.8L10.8 3l2.2 2.2-7.2 7.2z",
  down: "M4 6l4 4 4-4",
  up: "M4 10l4-4 4 4",
  left: "M10 4L6 8l4 4",
  right: "M6 4l4 4-4 4",
  runs: "M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z",
  system: "M2.5 3.5h11v4h-11zM2.5 9.5h11v4h-11zM5 5.5h.01M5 11.5h.01",
  migration: "M2 5h9M8.5 2.5L11 5 8.5 7.5M14 11H5M7.5 8.5L5 11l2.5 2.5",
  person: "M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8zM2.8 14c.4-2.7 2.4-4.2 5.2-4.2s4.8 1.5 5.2 4.2",
  warning: "M8 2.2L14.5 13.5h-13zM8 6.5v3.2M8 11.6h.01",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.3v3.6M8 5.1h.01",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.2 6.4c.1-2.4 3.7-2.2 3.6 0 0 1.4-1.8 1.4-1.8 2.7M8 11.3h.01",
  upload: "M8 10.5v-8M4.8 5.7L8 2.5l3.2 3.2M2.5 10v3.5h11V10",
  download: "M8 2.5v8M4.8 7.3L8 10.5l3.2-3.2M2.5 10v3.5h11V10",
  star: "M8 2l1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4l-3.7 2.1.8-4.2L2 6.4l4.2-.5z",
  swap: "M3 5.5h9M9.5 3L12 5.5 9.5 8M13 10.5H4M6.5 8L4 10.5 6.5 13",
  external: "M9 2.5h4.5V7M13.5 2.5L7 9M11.5 9v4.5h-9v-9H7",
  image: "M2.5 3h11v10h-11zM2.5 11l3.3-3.3 2.6 2.6 1.8-1.8 3.3 3.3M10.5 6h.01",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.6V8l2.4 1.6",
  share:
    "M10.6 4.3L5.4 7.1M5.4 8.9l5.2 2.8M12.3 5.3a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8zM3.7 9.9a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8zM12.3 14.5a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8z",
  chart: "M2.5 2.5v11h11M5.5 10.5v-3M8.5 10.5v-6M11.5 10.5V6",
} as const;

export type IconName = keyof typeof shapes;

/** Draws an icon. Screen readers skip it: the control around it has a name. */
export function Icon({ name, class: classes = "icon" }: { name: IconName; class?: string }) {
  return (
    <svg class={classes} viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[name]} />
    </svg>
  );
}
