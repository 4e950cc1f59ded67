/** Whether the server can be reached, and what its clock shows. */
import { signal } from "@preact/signals";

/** Whether the last request arrived. */
export const isOnline = signal(navigator.onLine);

/** Milliseconds by which the server's clock is ahead of this device's. */
export const clockOffsetMs = signal(0);

/** The present time by the server's clock, in milliseconds since 1970. */
export const serverNow = (): number => Date.now() + clockOffsetMs.peek();

/** Returns the seconds from now until a time, negative in the past. */
export const secondsFromNow = (iso: string): number => (Date.parse(iso) - serverNow()) / 1000;

const probeMs = 3_000;
let probeTimer: number | undefined;

/** The `Date` header has whole seconds, so that smaller differences mean nothing. */
const clockStepMs = 2_000;

/** Records a response: the server is there, and tells its time. */
export function noteResponse({ headers }: Response): void {
  isOnline.value = true;
  clearInterval(probeTimer);
  probeTimer = undefined;
  const at = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(at)) return;
  const offset = at + 500 - Date.now();
  if (Math.abs(offset - clockOffsetMs.peek()) > clockStepMs) clockOffsetMs.value = offset;
}

async function probe(): Promise<void> {
  try {
    noteResponse(await fetch("/health", { cache: "no-store" }));
  } catch {
    // The next probe tries again.
  }
}

/** Records that no response came, and looks for the server until one comes. */
export function noteFailure(): void {
  isOnline.value = false;
  probeTimer ??= setInterval(probe, probeMs);
}

addEventListener("offline", noteFailure);
addEventListener("online", () => void probe());
