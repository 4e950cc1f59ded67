/** Draws the images of the fake image API: landscapes with colours from the prompt and shapes from the seed. */
import { encode } from "fast-png";

/** The image to draw. */
export interface DrawRequest {
  prompt: string;
  /** Requested size in pixels. The image keeps its ratio; its longer side is `sideMax`. */
  width: number;
  height: number;
  seed: number;
}

type Colour = readonly [number, number, number];

const ridges = 5;

/** Hashes a text with FNV-1a over UTF-16 units, so that similar prompts differ clearly. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** Returns a generator of numbers in [0, 1) that depends only on its seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Converts HSL to RGB. Hue, saturation and lightness are in 0…1, channels in 0…255. */
function fromHsl(hue: number, saturation: number, lightness: number): Colour {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (offset: number) => {
    const sector = (offset + hue * 12) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(sector - 3, 9 - sector, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

const mix = (a: Colour, b: Colour, share: number): Colour => [
  a[0] + (b[0] - a[0]) * share,
  a[1] + (b[1] - a[1]) * share,
  a[2] + (b[2] - a[2]) * share,
];

function choosePalette(prompt: string): { top: Colour; horizon: Colour; near: Colour; disc: Colour } {
  const random = createRandom(hash(prompt));
  const hue = random();
  const night = /night|moon|dark|夜|月/i.test(prompt);
  const away = (hue + 0.08 + random() * 0.14) % 1;
  return {
    top: fromHsl(hue, 0.55, night ? 0.12 : 0.45 + random() * 0.1),
    horizon: fromHsl(away, 0.75, night ? 0.32 : 0.82),
    near: fromHsl((hue + 0.45) % 1, 0.4, night ? 0.05 : 0.16),
    disc: fromHsl((away + 0.04) % 1, night ? 0.1 : 0.9, night ? 0.93 : 0.72),
  };
}

/** Returns the height of a ridge in each column, in 0…1, as a sum of waves. */
function traceRidge(random: () => number, width: number, depth: number): number[] {
  const waves = Array.from({ length: 6 }, (_, octave) => ({
    length: (0.35 + random() * 0.9) * width / 2 ** octave,
    phase: random() * Math.PI * 2,
    height: (0.5 + random()) * 0.5 ** octave,
  }));
  const base = 0.42 + depth * 0.5;
  return Array.from({ length: width }, (_, x) => {
    const sum = waves.reduce(
      (all, wave) => all + Math.sin(x / wave.length * 2 * Math.PI + wave.phase) * wave.height,
      0,
    );
    return base + sum * 0.07 * (1 - depth * 0.4);
  });
}

/**
 * Draws one image. The same request gives the same bytes.
 *
 * @param sideMax length of the longer side in pixels
 * @returns a PNG
 */
export function drawCell(request: DrawRequest, sideMax = 240): Uint8Array<ArrayBuffer> {
  const scale = sideMax / Math.max(request.width, request.height);
  const width = Math.max(1, Math.round(request.width * scale));
  const height = Math.max(1, Math.round(request.height * scale));
  const random = createRandom(request.seed);
  const { top, horizon, near, disc } = choosePalette(request.prompt);
  const sun = {
    x: width * (0.15 + random() * 0.7),
    y: height * (0.15 + random() * 0.25),
    radius: sideMax * (0.05 + random() * 0.06),
  };
  const heights = Array.from({ length: ridges }, (_, i) => traceRidge(random, width, i / (ridges - 1)));
  const shades = heights.map((_, i) => mix(horizon, near, 0.25 + 0.75 * i / (ridges - 1)));
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const level = y / height;
      let front = -1;
      for (let i = 0; i < ridges; i++) if (level >= heights[i]![x]!) front = i;
      let colour = front < 0 ? mix(top, horizon, Math.min(1, level / 0.55)) : shades[front]!;
      if (front < 0) {
        const edge = sun.radius - Math.hypot(x - sun.x, y - sun.y);
        const glow = Math.exp(Math.min(0, edge) / (sun.radius * 1.5)) * 0.45;
        colour = mix(colour, disc, edge > 0 ? Math.min(1, 0.6 + edge / 2) : glow);
      }
      data.set([Math.round(colour[0]), Math.round(colour[1]), Math.round(colour[2])], (y * width + x) * 3);
    }
  }
  return new Uint8Array(encode({ width, height, data, channels: 3 }));
}
