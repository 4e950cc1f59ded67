/** Images that are loaded before they are shown. */
import { signal } from "@preact/signals";

/** An image on its way to the screen. The element itself is shown, so that nothing is decoded again. */
export class Picture {
  readonly element = new Image();
  readonly state = signal<"loading" | "ready" | "failed">("loading");
  #isWanted = false;

  constructor(readonly url: string) {
    this.element.referrerPolicy = "no-referrer";
    this.element.draggable = false;
  }

  /** Loads and decodes it, once. */
  load(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.state.value = "loading";
    this.element.src = this.url;
    this.element.decode().then(
      () => (this.state.value = "ready"),
      () => {
        // Giving it up rejects as well.
        if (!this.#isWanted) return;
        this.#isWanted = false;
        this.state.value = "failed";
      },
    );
  }

  /** Frees the image until it is loaded again. */
  release(): void {
    this.element.removeAttribute("src");
    this.#isWanted = false;
    this.state.value = "loading";
  }
}
