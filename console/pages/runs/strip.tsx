/** A strip of a run's images, spread over its matrix, as the edge of a contact sheet shows them. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { isOnline } from "../../api/network.ts";

type Cell = Schemas["Cells"]["items"][number];

const framesMax = 5;
/** Number of cells that are asked for: those of a run under way often have no image yet. */
const candidatesMax = 25;

/** Returns numbers of cells that are spread evenly. */
function chooseCells(total: number): number[] {
  const count = Math.min(candidatesMax, total);
  return Array.from({ length: count }, (_, i) => Math.floor((i + 0.5) * total / count));
}

/** Picks frames from all over the list. */
const pickSpread = (cells: Cell[]): Cell[] =>
  cells.length <= framesMax
    ? cells
    : Array.from({ length: framesMax }, (_, i) => cells[Math.floor((i + 0.5) * cells.length / framesMax)]!);

/** Whether the element has come near the window. */
function useSeen(): [{ current: HTMLDivElement | null }, boolean] {
  const element = useRef<HTMLDivElement>(null);
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) setSeen(true);
    }, { rootMargin: "200px" });
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  return [element, isSeen];
}

function Frame({ cell }: { cell: Cell | undefined }) {
  const [isBroken, setBroken] = useState(false);
  const url = cell?.thumbnail ?? cell?.url;
  if (!url || isBroken) return <div class={`strip-frame ${isBroken ? "broken" : ""}`} />;
  return (
    <div class="strip-frame">
      <img src={url} alt="" loading="lazy" decoding="async" onError={() => setBroken(true)} />
    </div>
  );
}

/** @param drawn number of images; the strip is read again when the first ones are there */
export function Strip({ id, total, drawn }: { id: string; total: number; drawn: number }) {
  const [element, isSeen] = useSeen();
  const [cells, setCells] = useState<Cell[]>([]);
  const wanted = chooseCells(total);
  // Read at the start, when the first image is there, at each fifth of the run, and when the connection comes back.
  const stage = drawn === 0 ? 0 : 1 + Math.floor(drawn * 5 / Math.max(total, 1));
  useEffect(() => {
    if (!isSeen || stage === 0) return;
    const controller = new AbortController();
    const query = { ids: wanted.join(",") };
    unwrap(v2.GET("/api/v2/tasks/{id}/cells", { params: { path: { id }, query }, signal: controller.signal }))
      .then(({ items }) => setCells(pickSpread(items.filter(({ url }) => url !== null))), () => {});
    return () => controller.abort();
  }, [id, isSeen, stage, total, isOnline.value]);
  return (
    <div class="strip" ref={element} aria-hidden="true">
      {Array.from({ length: framesMax }, (_, i) => <Frame key={cells[i]?.url ?? i} cell={cells[i]} />)}
    </div>
  );
}
