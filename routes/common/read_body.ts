/** Reads a request body with a size limit and a deadline; Deno.serve has neither. */

/**
 * Reads the whole body.
 *
 * @returns the bytes, or why there are none: the body exceeds `bytesMax`, it did not arrive within `msMax`
 *   milliseconds, or the client disconnected before its end
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
  const giveUp = <T>(reason: T): T => {
    reader.cancel().catch(() => {});
    return reason;
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
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}
