/** Short messages at the edge of the page. Some can be undone while they are shown. */
import { signal } from "@preact/signals";
import { Button, IconButton } from "./button.tsx";
import { announce } from "./live.tsx";
import { common } from "./texts.ts";

export interface Toast {
  text: string;
  kind?: "done" | "failed";
  /** Seconds until it goes. A failure stays until it is dismissed. */
  seconds?: number;
  undo?: () => void;
}

interface Shown extends Toast {
  id: number;
  endsAt: number | undefined;
}

const shown = signal<readonly Shown[]>([]);
const now = signal(performance.now());
let lastId = 0;
let timer: number | undefined;

function remove(id: number): void {
  shown.value = shown.value.filter((toast) => toast.id !== id);
}

function tick(): void {
  now.value = performance.now();
  for (const { id, endsAt } of shown.value) if (endsAt !== undefined && endsAt <= now.value) remove(id);
  if (shown.value.every(({ endsAt }) => endsAt === undefined)) {
    clearInterval(timer);
    timer = undefined;
  }
}

/** Shows a message. @returns removes it */
export function showToast(toast: Toast): () => void {
  const id = ++lastId;
  const seconds = toast.seconds ?? (toast.kind === "failed" ? undefined : 4);
  const endsAt = seconds === undefined ? undefined : performance.now() + seconds * 1000;
  shown.value = [...shown.value, { ...toast, id, endsAt }];
  now.value = performance.now();
  if (endsAt !== undefined) timer ??= setInterval(tick, 250);
  announce(toast.text, toast.kind === "failed");
  return () => remove(id);
}

/** Seconds in which an action can be taken back before it happens. */
export const undoSeconds = 5;

/**
 * Runs an action after {@link undoSeconds}, unless the person takes it back. Leaving the page runs it at once.
 *
 * @param undone called if it was taken back
 */
export function runUndoably(text: string, run: () => void, undone: () => void = () => {}): void {
  const settle = (isUndone: boolean) => {
    clearTimeout(wait);
    removeEventListener("pagehide", runNow);
    hide();
    if (isUndone) undone();
    else run();
  };
  const runNow = () => settle(false);
  const wait = setTimeout(runNow, undoSeconds * 1000);
  addEventListener("pagehide", runNow);
  const hide = showToast({ text, seconds: undoSeconds + 1, undo: () => settle(true) });
}

function ToastItem({ toast }: { toast: Shown }) {
  const { id, text, kind = "done", undo, endsAt } = toast;
  const left = endsAt === undefined ? 0 : Math.max(0, Math.ceil((endsAt - now.value) / 1000) - 1);
  return (
    <li class={`toast ${kind}`}>
      <span class="toast-text">{text}</span>
      {undo && <Button kind="quiet" onClick={undo}>{common.value.undoIn(left)}</Button>}
      {!undo && <IconButton icon="close" label={common.value.dismiss} onClick={() => remove(id)} />}
    </li>
  );
}

/** The messages. The frame of the page contains them once. */
export function Toasts() {
  return (
    <ul class="toasts">
      {shown.value.map((toast) => <ToastItem key={toast.id} toast={toast} />)}
    </ul>
  );
}
