/** The cost model of docs/scaling.md: what 1 to 100 database nodes would do, computed from figures measured on one. */

/** Measured on one machine of two cores; docs/scaling.md says how and under which load. */
export const measured = {
  walBytesPerCell: 3_000,
  /** A fan-out on plain tables, and for each partition that it reads, in milliseconds. */
  fanOutMs: 0.48,
  fanOutMsPerPartition: 0.004,
};

/** Two fan-outs in each check of a worker, every 2 s, and at most ten a second of the leader. */
const fanOutsPerSecond = { worker: 1, leader: 10 };
const partitions = 128;
const cores = 2;
/** Cells a second of all nodes together for which the table tells the WAL. */
const cellsPerSecond = 1_000;

/** What a number of nodes would do, with a worker for each. */
export interface ScaleRow {
  nodes: number;
  partitionsPerNode: number;
  /** Share of a node's cores that answers fan-outs, which reach all nodes. */
  fanOutShare: number;
  /** Cells a second, as a multiple of what one node draws without fan-outs. */
  throughput: number;
  /** WAL of each node in megabytes a second, while all nodes draw 1,000 cells a second. */
  walMBPerSecond: number;
  /** Node hours for the same cells, compared with one node without fan-outs. */
  cost: number;
}

/**
 * Computes what a number of nodes would do. Each cell belongs to one node, so the rate of cells grows with the number of
 * nodes. Every node answers each fan-out for its own partitions, so the time for fan-outs grows with the number of workers.
 *
 * @example
 * ```ts
 * import { scaleOut } from "./scaling.ts";
 * const [one, ten] = [scaleOut(1), scaleOut(10)];
 * if (!(ten.throughput < 10 && one.partitionsPerNode === 128)) throw new Error("fan-outs cost nothing");
 * ```
 */
export function scaleOut(nodes: number): ScaleRow {
  const fanOuts = nodes * fanOutsPerSecond.worker + fanOutsPerSecond.leader;
  const partitionsPerNode = Math.ceil(partitions / nodes);
  const busyMs = fanOuts * (measured.fanOutMs + partitionsPerNode * measured.fanOutMsPerPartition);
  const fanOutShare = busyMs / (cores * 1000);
  return {
    nodes,
    partitionsPerNode,
    fanOutShare,
    throughput: nodes * (1 - fanOutShare),
    walMBPerSecond: cellsPerSecond * measured.walBytesPerCell / nodes / 1e6,
    cost: 1 / (1 - fanOutShare),
  };
}

/** Rows of the table in docs/scaling.md. */
export const scaleTable = (): string[] =>
  [1, 2, 4, 8, 16, 32, 64, 100].map(scaleOut).map((row) => {
    const share = `${(row.fanOutShare * 100).toFixed(1)} %`;
    const wal = row.walMBPerSecond.toFixed(2);
    return `| ${row.nodes} | ${row.partitionsPerNode} | ${row.throughput.toFixed(1)} | ${wal} | ${share} | ${
      row.cost.toFixed(3)
    } |`;
  });
