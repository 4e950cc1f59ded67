/** Builds the body of `POST /v3/make_image`, which creates a remote job. */
import { readNumber } from "../matrix/values.ts";

export interface Size {
  width: number;
  height: number;
}

const side = 1024;

/** Rounds like Python's `round()`: a half goes to the even neighbour. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

const toEighths = (length: number): number => roundHalfEven(length / 8) * 8;

/**
 * Computes width and height from a ratio `a:b`. Both are multiples of 8 and their product is close to 1024².
 * Returns 1024 × 1024 for an invalid ratio, or one that leaves a side without length.
 *
 * @example
 * ```ts
 * import { sizeOfRatio } from "./request.ts";
 * const { width, height } = sizeOfRatio("16:9");
 * if (width !== 1368 || height !== 768) throw new Error(`${width} × ${height}`);
 * ```
 */
export function sizeOfRatio(ratio: string): Size {
  const [a, b, ...more] = ratio.split(":").map(readNumber);
  if (a === undefined || b === undefined || more.length > 0) return { width: side, height: side };
  const width = toEighths(Math.sqrt(side * side * (a / b)));
  const height = toEighths(Math.sqrt(side * side / (a / b)));
  const drawable = Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0;
  return drawable ? { width, height } : { width: side, height: side };
}

/** The fields of a subtask that determine its image. `prompts` and `client_args` are JSON texts. */
export interface ImageSubtask {
  prompts: string;
  ratio: string;
  seed: number | bigint | string;
  use_polish: boolean;
  client_args: string | null;
}

/**
 * Builds the request of one subtask. `body` is JSON text with the fields in the order that the image API
 * expects.
 */
export function buildImageRequest(
  { prompts, ratio, seed, use_polish, client_args }: ImageSubtask,
): Size & { body: string } {
  const { width, height } = sizeOfRatio(ratio);
  const body =
    `{"storyId":"","jobType":"universal","width":${width},"height":${height},"rawPrompt":${prompts},` +
    `"seed":${seed},"meta":{"entrance":"PICTURE,PURE"},"context_model_series":null,"negative_freetext":"",` +
    `"advanced_translator":${use_polish}${client_args === null ? "" : `,"client_args":${client_args}`}}`;
  return { body, width, height };
}
