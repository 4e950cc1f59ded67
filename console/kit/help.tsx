/** The list of keyboard shortcuts. */
import { signal } from "@preact/signals";
import { Dialog } from "./dialog.tsx";
import { groups, type Shortcut } from "./shortcuts.ts";
import { common } from "./texts.ts";

/** Whether the list is shown. */
export const isHelpOpen = signal(false);

const keyText = (key: string): string =>
  common.value.keys[key] ?? (key.length === 1 ? key.toUpperCase() : key);

function Keys({ keys, withControl }: Pick<Shortcut, "keys" | "withControl">) {
  const control = /mac|iphone|ipad/i.test(navigator.userAgent) ? "⌘" : "Ctrl";
  return (
    <>
      {withControl && <kbd>{control}</kbd>}
      {keys.map((key) => <kbd key={key}>{keyText(key)}</kbd>)}
    </>
  );
}

/** Joins groups with the same title: several components of a page may have shortcuts. */
function mergeGroups(): [string, Shortcut[]][] {
  const merged = new Map<string, Shortcut[]>();
  for (const { title, shortcuts } of groups.value.toReversed()) {
    merged.set(title, [...merged.get(title) ?? [], ...shortcuts]);
  }
  return [...merged];
}

export function Help() {
  if (!isHelpOpen.value) return null;
  return (
    <Dialog title={common.value.help} onClose={() => (isHelpOpen.value = false)} class="help">
      {mergeGroups().map(([title, shortcuts]) => (
        <section key={title} class="help-group">
          <h3>{title}</h3>
          <dl>
            {shortcuts.map(({ label, keys, withControl = false }) => (
              <div key={label}>
                <dt>
                  <Keys keys={keys} withControl={withControl} />
                </dt>
                <dd>{label}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <p class="muted">{common.value.helpHint}</p>
    </Dialog>
  );
}
