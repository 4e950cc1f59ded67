/** The theme: that of the system until the person chooses. */
import { computed, signal } from "@preact/signals";
import { readPreference, writePreference } from "../text/language.ts";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const storageKey = "contactsheet theme";
const stored = readPreference(storageKey);

export const theme = signal<Theme>(themes.find((one) => one === stored) ?? "system");

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const isSystemDark = signal(darkSystem.matches);
darkSystem.addEventListener("change", ({ matches }) => (isSystemDark.value = matches));

/** Whether the page is dark, for what is not drawn by style sheets. */
export const isDark = computed(() => theme.value === "system" ? isSystemDark.value : theme.value === "dark");

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
