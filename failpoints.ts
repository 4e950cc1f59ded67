/** Named points at which tests and the fault rigs kill or stop a process. Outside of these they do nothing. */

let onPass: ((name: string) => void) | undefined;

/** Sets the function that is called at every failpoint. Only tests and rigs call it. */
export function listenToFailpoints(listener: (name: string) => void): void {
  onPass = listener;
}

/** Marks a failpoint. */
export function passFailpoint(name: string): void {
  onPass?.(name);
}
