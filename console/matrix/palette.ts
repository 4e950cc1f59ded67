/** Colours for canvases, from the tokens of the style sheet. */

const tokens = [
  "ground",
  "surface",
  "raised",
  "sunken",
  "line",
  "line-strong",
  "text",
  "muted",
  "accent",
  "on-accent",
  "completed",
  "processing",
  "failed",
  "failed-soft",
  "cancelled",
  "held",
  "pending",
  "expired",
] as const;
export type Token = (typeof tokens)[number];

export type Rgb = readonly [number, number, number];

/** Colours of the present theme. */
export class Palette {
  readonly #colours = new Map<Token, Rgb>();

  /** @param inside element whose theme counts */
  constructor(inside: Element) {
    const probe = document.createElement("span");
    // Where motion is reduced, the style sheet gives everything a transition, which would still show the last colour.
    probe.style.setProperty("transition", "none", "important");
    inside.append(probe);
    for (const token of tokens) {
      probe.style.color = `var(--${token})`;
      const [r = 0, g = 0, b = 0] = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [];
      this.#colours.set(token, [r, g, b]);
    }
    probe.remove();
  }

  rgb(token: Token): Rgb {
    return this.#colours.get(token)!;
  }

  css(token: Token): string {
    return toCss(this.rgb(token));
  }

  /** Colour of a mean rating from 1 to 5: from grey to the accent. */
  rating(mean: number): Rgb {
    return mix(this.rgb("line"), this.rgb("accent"), (mean - 1) / 4);
  }

  /** Colour of the disagreement between raters, by the standard deviation from 0 to 2. */
  spread(deviation: number): Rgb {
    return mix(this.rgb("line"), this.rgb("held"), deviation / 2);
  }
}

export const toCss = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** Mixes two colours. @param share of the second, from 0 to 1 */
export function mix(a: Rgb, b: Rgb, share: number): Rgb {
  const s = Math.min(1, Math.max(0, share));
  const part = (i: 0 | 1 | 2) => Math.round(a[i] + (b[i] - a[i]) * s);
  return [part(0), part(1), part(2)];
}

/** Black or white, whichever is easier to read on a colour. */
export const readableOn = ([r, g, b]: Rgb): string =>
  0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff";
