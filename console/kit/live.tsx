/** Messages for screen readers: the page's two live regions. */
import { signal } from "@preact/signals";

const polite = signal("");
const urgent = signal("");

/**
 * Lets a screen reader say a text.
 *
 * @param isUrgent interrupts what it is saying
 */
export function announce(text: string, isUrgent = false): void {
  const region = isUrgent ? urgent : polite;
  // A repeated text is said again only if it differs.
  region.value = region.value === text ? `${text}\u00a0` : text;
}

/** The regions. The frame of the page contains them once. */
export function LiveRegions() {
  return (
    <>
      <div class="sr-only" role="status" aria-live="polite">{polite}</div>
      <div class="sr-only" role="alert" aria-live="assertive">{urgent}</div>
    </>
  );
}
