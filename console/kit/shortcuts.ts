/** Keyboard shortcuts. Those of the open page are listed in the help. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Shortcut {
  /** Values of `KeyboardEvent.key`; letters in lower case. Any of them runs it. */
  keys: readonly string[];
  label: string;
  /** Requires Ctrl, or Command on a Mac. */
  withControl?: boolean;
  /** The help lists it, and the component that has it handles its keys itself. */
  isListedOnly?: boolean;
  run?: (event: KeyboardEvent) => void;
}

interface Group {
  title: string;
  shortcuts: readonly Shortcut[];
}

/** The registered shortcuts, latest last. */
export const groups = signal<readonly Group[]>([]);

const textTypes = new Set([
  "text",
  "search",
  "email",
  "password",
  "number",
  "url",
  "tel",
  "date",
  "datetime-local",
]);

/** Reports whether keys belong to the element, because one types into it. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return target instanceof HTMLInputElement && textTypes.has(target.type);
}

/** Reports whether a dialog lies over the page, whose keys then rest. */
const hasDialog = (): boolean => document.querySelector("dialog[open]") !== null;

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || event.isComposing || hasDialog()) return;
  const hasControl = event.ctrlKey || event.metaKey;
  if (isTyping(event.target) && !hasControl) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const all = groups.value.toReversed().flatMap(({ shortcuts }) => shortcuts);
  const found = all.find(({ keys, withControl = false, isListedOnly }) =>
    !isListedOnly && withControl === hasControl && keys.includes(key)
  );
  if (!found) return;
  event.preventDefault();
  found.run?.(event);
}

addEventListener("keydown", onKeyDown);

/** Registers shortcuts while the component is shown. If two have the same key, the latest one is used. */
export function useShortcuts(title: string, shortcuts: readonly Shortcut[]): void {
  useEffect(() => {
    const group = { title, shortcuts };
    groups.value = [...groups.peek(), group];
    return () => {
      groups.value = groups.peek().filter((other) => other !== group);
    };
  });
}
