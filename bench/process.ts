/** What the system reports about a process; zeros where it does not. */

/** Present and highest resident memory in MiB. */
export function readMemory(pid: number): [now: number, peak: number] {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const mib = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
    return [mib("VmRSS"), mib("VmHWM")];
  } catch {
    return [0, 0];
  }
}

/** CPU time so far in milliseconds. */
export function readCpuMs(pid: number): number {
  try {
    const [, rest = ""] = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ");
    const fields = rest.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}
