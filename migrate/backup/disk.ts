/** Reports whether this machine's disk or the folder's quota is full. */
export const isDiskFullHere = (error: unknown): boolean =>
  /no space left on device|quota exceeded|os error 28\b/i.test(String((error as Error).message));
