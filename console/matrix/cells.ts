/**
 * The cells of an open run: state and ratings of all of them as one byte each, and the image of those that were seen.
 * Everything that shows cells reads from here, and is told of changes.
 */
import { authorizedFetch } from "../api/session.ts";
import { toApiError } from "../api/problem.ts";
import { type Schemas, unwrap, v2 } from "../api/client.ts";
import type { State } from "../kit/status.tsx";

export type CellInfo = Schemas["Cell"];

/** States by the byte of the plane `status`. */
const stateOfByte: readonly (State | undefined)[] = [
  undefined,
  "pending",
  "processing",
  "completed",
  "failed",
  "cancelled",
];
const byteOfState = new Map(stateOfByte.map((state, byte) => [state, byte]));

/** A changed cell of the event stream. */
export interface ChangedCell {
  cell: number;
  status: State;
  version: number;
  image: string | null;
  mean: number | null;
  n: number | null;
}

type Plane = "status" | "rating" | "spread";

/** Number of cells with known images that are kept. */
const infosMax = 6_000;
/** Edge in device pixels up to which a thumbnail is enough. */
const thumbnailEdge = 256;
/** Number of times that planes are read while events overtake them. */
const readTriesMax = 3;
/** Number of cells of one request. */
const requestMax = 500;

export class Cells {
  /** Revision of the task that the bytes represent. */
  revision = 0;
  total = 0;
  #planes = new Map<Plane, Uint8Array>();
  #infos = new Map<number, CellInfo>();
  /** Images of changed cells whose other values were not read yet. */
  #images = new Map<number, string>();
  #listeners = new Set<(cells: readonly number[] | undefined) => void>();

  constructor(readonly taskId: string) {}

  /** Calls `listener` after each change with the changed cells, undefined for all. @returns ends it */
  subscribe(listener: (cells: readonly number[] | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(cells?: readonly number[]): void {
    for (const listener of this.#listeners) listener(cells);
  }

  hasPlane(plane: Plane): boolean {
    return this.#planes.has(plane);
  }

  stateOf(cell: number): State | undefined {
    return stateOfByte[this.#planes.get("status")?.[cell] ?? 0];
  }

  /** Ten times the mean; 0 if unrated or hidden. */
  ratingOf(cell: number): number {
    return this.#planes.get("rating")?.[cell] ?? 0;
  }

  /** One plus ten times the standard deviation between raters; 0 if there are fewer than two. */
  spreadOf(cell: number): number {
    return this.#planes.get("spread")?.[cell] ?? 0;
  }

  infoOf(cell: number): CellInfo | undefined {
    return this.#infos.get(cell);
  }

  /** Returns the image of a cell to show at an edge in device pixels, if it is known. */
  imageOf(cell: number, edge: number): string | undefined {
    const info = this.#infos.get(cell);
    if (!info) return this.#images.get(cell);
    return (edge <= thumbnailEdge ? info.thumbnail ?? info.url : info.url) ?? undefined;
  }

  /** Reads the planes: all, or what changed since the last time. @throws ApiError */
  async read(signal: AbortSignal, more: readonly Plane[] = []): Promise<void> {
    for (let tries = 1; !await this.#readOnce(signal, more, tries === readTriesMax); tries++);
  }

  /** @returns false if events have overtaken the answer, which is then older than what is known */
  async #readOnce(signal: AbortSignal, more: readonly Plane[], isLast: boolean): Promise<boolean> {
    const known = [...this.#planes.keys()];
    const wanted: Plane[] = [...new Set<Plane>(["status", "rating", ...known, ...more])];
    const isKnown = this.revision > 0 && wanted.length === known.length;
    const url = new URL(`/api/v2/tasks/${encodeURIComponent(this.taskId)}/planes`, location.origin);
    url.searchParams.set("f", wanted.join());
    if (isKnown) url.searchParams.set("since", String(this.revision));
    const response = await authorizedFetch(new Request(url, { signal }));
    if (!response.ok) throw toApiError(response, await response.json().catch(() => undefined));
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (Number(response.headers.get("x-revision")) < this.revision && !isLast) return false;
    this.#readHead(response.headers);
    if (response.headers.get("x-delta") === "true") this.#applyDelta(wanted, bytes);
    else {wanted.forEach((plane, i) =>
        this.#planes.set(plane, bytes.slice(i * this.total, (i + 1) * this.total))
      );}
    this.#tell();
    return true;
  }

  #readHead(headers: Headers): void {
    this.total = Number(headers.get("x-cells"));
    this.revision = Number(headers.get("x-revision"));
  }

  #applyDelta(planes: readonly Plane[], bytes: Uint8Array): void {
    const status = this.#planes.get("status")!;
    // A claim does not raise the revision: the delta contains every cell that is being drawn.
    for (let cell = 0; cell < status.length; cell++) if (status[cell] === 2) status[cell] = 1;
    const view = new DataView(bytes.buffer);
    for (let offset = 0; offset < bytes.length; offset += 4 + planes.length) {
      const cell = view.getUint32(offset, true);
      planes.forEach((plane, p) => this.#planes.get(plane)![cell] = bytes[offset + 4 + p]!);
      this.#infos.delete(cell);
    }
  }

  /** Takes over changed cells of the event stream. */
  apply(changed: readonly ChangedCell[], revision: number | undefined): void {
    const [status, rating] = [this.#planes.get("status"), this.#planes.get("rating")];
    if (!status || !rating) return;
    for (const { cell, status: state, version, image, mean } of changed) {
      status[cell] = byteOfState.get(state) ?? 0;
      rating[cell] = mean === null ? 0 : Math.round(10 * mean);
      const info = this.#infos.get(cell);
      if (info && (info.version !== version || info.status !== state)) this.#infos.delete(cell);
      if (image !== null) this.#images.set(cell, image);
      else this.#images.delete(cell);
    }
    // Events do not contain the disagreement between raters, so changed cells are read again.
    if (revision !== undefined && !this.hasPlane("spread")) this.revision = revision;
    this.#tell(changed.map(({ cell }) => cell));
  }

  /** Reads the images of completed cells that are not known yet. @throws ApiError */
  async readInfos(cells: readonly number[], signal: AbortSignal): Promise<void> {
    const missing = cells.filter((cell) => !this.#infos.has(cell) && this.stateOf(cell) !== undefined);
    for (let i = 0; i < missing.length; i += requestMax) {
      const part = missing.slice(i, i + requestMax);
      const { items } = await unwrap(v2.GET("/api/v2/tasks/{id}/cells", {
        params: { path: { id: this.taskId }, query: { ids: part.join() } },
        signal,
      }));
      for (const item of items) {
        this.#infos.set(item.cell, item);
        this.#images.delete(item.cell);
      }
      this.#forgetOld();
      this.#tell(part);
    }
  }

  #forgetOld(): void {
    for (const cell of this.#infos.keys()) {
      if (this.#infos.size <= infosMax) break;
      this.#infos.delete(cell);
    }
  }
}
