/**
 * Loads the images of the visible cells: a few at a time, those in the middle first, and gives up those that have left.
 * What is kept is a bitmap of the size of its cell, so that memory stays flat whatever the size of the images.
 */

/** An image that is wanted. */
export interface WantedImage {
  cell: number;
  url: string;
}

interface Kept {
  url: string;
  size: number;
  bitmap: ImageBitmap;
}

const inFlightMax = 12;
/** Bytes of bitmaps that are kept. */
const bytesMax = 96 * 1024 * 1024;
/** Edges in device pixels to which images are scaled. */
const sizes = [64, 128, 256, 512];

/** Failures in a row, with no image between, after which the host counts as down. */
const failuresInRow = 8;

const isWebAddress = (url: string): boolean => {
  try {
    return /^https?:$/.test(new URL(url, location.origin).protocol);
  } catch {
    return false;
  }
};

/** Returns an address that is safe to link to, undefined for `javascript:` and the like. */
export const safeUrl = (url: string | null | undefined): string | undefined =>
  url && isWebAddress(url) ? url : undefined;

/** Returns the size of a bitmap in a cell, both in device pixels. */
const fit = (width: number, height: number, edge: number): [number, number] => {
  const scale = Math.min(1, edge / Math.max(width, height, 1));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
};

export class ImageLoader {
  #kept = new Map<number, Kept>();
  #bytes = 0;
  #failed = new Map<number, string>();
  #loading = new Map<number, HTMLImageElement>();
  #queue: WantedImage[] = [];
  #size = 128;
  #failuresInRow = 0;

  /** @param onChange called when an image has arrived or failed */
  constructor(readonly onChange: (cell: number) => void) {}

  /** Number of requests under way. */
  get inFlight(): number {
    return this.#loading.size;
  }

  /** Whether many images in a row failed to load, so that their host is probably down. */
  get isHostDown(): boolean {
    return this.#failuresInRow >= failuresInRow;
  }

  bitmapOf(cell: number): ImageBitmap | undefined {
    return this.#kept.get(cell)?.bitmap;
  }

  /** Whether the image of a cell, which has this address, did not load. */
  hasFailed(cell: number, url: string | null): boolean {
    return url !== null && this.#failed.get(cell) === url;
  }

  /** Replaces what is wanted. @param edge edge of a cell in device pixels */
  want(images: readonly WantedImage[], edge: number): void {
    this.#size = sizes.find((size) => size >= edge * 0.8) ?? sizes.at(-1)!;
    const cells = new Set(images.map(({ cell }) => cell));
    this.keep((cell) => cells.has(cell));
    this.#queue = images.filter(({ cell, url }) => {
      const kept = this.#kept.get(cell);
      const isKept = kept?.url === url && kept.size >= this.#size;
      if (isKept) this.#touch(cell, kept);
      return !isKept && !this.#loading.has(cell) && this.#failed.get(cell) !== url;
    });
    this.#next();
  }

  /** Gives up the requests for cells that are not visible any more. */
  keep(isVisible: (cell: number) => boolean): void {
    this.#queue = this.#queue.filter(({ cell }) => isVisible(cell));
    for (const [cell, image] of this.#loading) if (!isVisible(cell)) this.#abort(cell, image);
  }

  /** Forgets failures, so that the images are tried again when they are next wanted. */
  retry(): void {
    this.#failed.clear();
    this.#failuresInRow = 0;
  }

  #abort(cell: number, image: HTMLImageElement): void {
    this.#loading.delete(cell);
    image.onload = image.onerror = null;
    image.removeAttribute("src");
  }

  #next(): void {
    while (this.#loading.size < inFlightMax) {
      const wanted = this.#queue.shift();
      if (!wanted) return;
      this.#load(wanted);
    }
  }

  #load({ cell, url }: WantedImage): void {
    if (!isWebAddress(url)) return this.#fail(cell, url);
    const image = new Image();
    image.referrerPolicy = "no-referrer";
    image.onload = () => void this.#take(cell, url, image);
    image.onerror = () => {
      this.#loading.delete(cell);
      this.#failuresInRow++;
      this.#fail(cell, url);
      this.#next();
    };
    this.#loading.set(cell, image);
    image.src = url;
  }

  #fail(cell: number, url: string): void {
    this.#failed.set(cell, url);
    this.onChange(cell);
  }

  async #take(cell: number, url: string, image: HTMLImageElement): Promise<void> {
    const size = this.#size;
    const [resizeWidth, resizeHeight] = fit(image.naturalWidth, image.naturalHeight, size);
    const bitmap = await createImageBitmap(image, { resizeWidth, resizeHeight, resizeQuality: "medium" })
      .catch(() => undefined);
    // Another request for the cell may have taken its place meanwhile.
    if (this.#loading.get(cell) === image) this.#loading.delete(cell);
    if (bitmap) this.#keepBitmap(cell, { url, size, bitmap });
    else this.#failed.set(cell, url);
    this.#failuresInRow = 0;
    this.onChange(cell);
    this.#next();
  }

  #keepBitmap(cell: number, kept: Kept): void {
    this.#drop(cell);
    this.#kept.set(cell, kept);
    this.#bytes += 4 * kept.bitmap.width * kept.bitmap.height;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= bytesMax) break;
      this.#drop(oldest);
    }
  }

  /** Marks a bitmap as used last: the ones used first are dropped first. */
  #touch(cell: number, kept: Kept): void {
    this.#kept.delete(cell);
    this.#kept.set(cell, kept);
  }

  #drop(cell: number): void {
    const kept = this.#kept.get(cell);
    if (!kept) return;
    this.#kept.delete(cell);
    this.#bytes -= 4 * kept.bitmap.width * kept.bitmap.height;
    kept.bitmap.close();
  }

  /** Ends all requests and frees the bitmaps. */
  close(): void {
    this.#queue = [];
    for (const [cell, image] of this.#loading) this.#abort(cell, image);
    for (const cell of [...this.#kept.keys()]) this.#drop(cell);
  }
}
