/** The theme: that of the system until the person chooses. */
import { signal } from "@preact/signals";
import { readPreference, writePreference } from "../text/language.ts";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const storageKey = "contactsheet theme";
const stored = readPreference(storageKey);

export const theme = signal<Theme>(themes.find((one) => one === stored) ?? "system");

function applyTheme(): void {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}

export function setTheme(next: Theme): void {
  theme.value = next;
  writePreference(storageKey, next === "system" ? undefined : next);
  applyTheme();
}

applyTheme();
