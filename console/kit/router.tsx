/** Addresses: the path and the query are signals, and the state of a view stands in the query. */
import { computed, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

const base = "/console";

const readPath = (): string => location.pathname.slice(base.length).replace(/\/+$/, "") || "/";

const currentPath = signal(readPath());
const currentQuery = signal(location.search);

/** The path without `/console`, such as `/runs/1`. */
export const path = computed(() => currentPath.value);

/** The parameters of the query. */
export const query = computed(() => new URLSearchParams(currentQuery.value));

function readAddress(): void {
  currentPath.value = readPath();
  currentQuery.value = location.search;
}

addEventListener("popstate", readAddress);

/** Returns the address of a path. */
export const hrefOf = (to: string): string => base + (to === "/" ? "" : to);

/**
 * Goes to a path, which may have a query.
 *
 * @param isReplacing replaces the current entry of the history instead of adding one
 */
export function navigate(to: string, isReplacing = false): void {
  if (isReplacing) history.replaceState(null, "", hrefOf(to));
  else history.pushState(null, "", hrefOf(to));
  const before = currentPath.value;
  readAddress();
  if (currentPath.value !== before) scrollTo(0, 0);
}

/** Changes parameters of the query in place; undefined and "" remove one. */
export function setQuery(changes: Record<string, string | undefined>): void {
  const next = new URLSearchParams(currentQuery.value);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  const search = text === "" ? "" : `?${text}`;
  if (search === currentQuery.value) return;
  history.replaceState(history.state, "", location.pathname + search + location.hash);
  currentQuery.value = search;
}

/** Reports whether the browser should follow a click itself: another button, or a key for a new tab. */
const isForBrowser = (event: MouseEvent): boolean =>
  event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey ||
  event.altKey;

interface LinkProps {
  /** A path without `/console`, with or without a query. */
  to: string;
  class?: string;
  id?: string;
  title?: string;
  "aria-label"?: string;
  "aria-current"?: "page" | "true" | undefined;
  children?: ComponentChildren;
}

/** A link to another page of the console. */
export function Link({ to, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (isForBrowser(event)) return;
    event.preventDefault();
    navigate(to);
  };
  return <a {...rest} href={hrefOf(to)} onClick={follow} />;
}
