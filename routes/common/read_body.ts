/** The bytes of a request's body, with a limit and a deadline: Deno.serve has neither. */

/**
 * @returns the bytes; else why not: over `bytesMax`, not there within `msMax`, or the client went away in the middle
 */
export async function readBody(
  request: Request,
  { bytesMax, msMax }: { bytesMax: number; msMax: number },
): Promise<Uint8Array | "too_large" | "too_slow" | "broken"> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return "too_large";
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const late = Promise.withResolvers<"too_slow">();
  const timer = setTimeout(() => late.resolve("too_slow"), msMax);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const giveUp = <T>(why: T): T => {
    reader.cancel().catch(() => {});
    return why;
  };
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === "too_slow") return giveUp(read);
      if (read.done) break;
      chunks.push(read.value);
      bytes += read.value.length;
      if (bytes > bytesMax) return giveUp("too_large");
    }
  } catch {
    return giveUp("broken");
  } finally {
    clearTimeout(timer);
  }
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
