/** How FastAPI reads a body: bytes with a limit and a deadline, then JSON where the content type says so. */
import { type Json, JsonLimitError, type JsonObject, JsonSyntaxError, parseJson } from "../../json.ts";
import { readBody } from "../common/read_body.ts";
import { Refusal, Rejection } from "./refusal.ts";

/** Bytes of a body whose sender is asked for a token before it is parsed: parsing holds up everybody else. */
export const strangerBytesMax = 256 * 1024;
/** Bytes of a body at most; the old database took documents of 16 MiB, tasks of the frontend reach 3. */
export const bodyBytesMax = 8 * 1024 * 1024;
/** Milliseconds that a body may take to come. */
export const bodyMsStandard = 30_000;
/** Containers within each other, about where Python's parser gave up. */
const depthMax = 960;
/** Values of a body at most: time goes by them, not by bytes. The largest tasks of the frontend have 4,000. */
const valuesMax = 30_000;

/** What the old backend said of any body that it could not take. */
export const parseRefusal = () => new Refusal(400, "There was an error parsing the body");

/**
 * The bytes of a body.
 *
 * @throws Refusal 413 over `bytesMax`, 408 when it takes over `msMax` to come
 */
export async function readBytes(
  request: Request,
  msMax: number,
  bytesMax = bodyBytesMax,
): Promise<Uint8Array> {
  const read = await readBody(request, { bytesMax, msMax });
  if (read === "too_large") throw new Refusal(413, `Request body too large: at most ${bytesMax} bytes`);
  if (read === "too_slow") throw new Refusal(408, "Request body came too slowly");
  // A client that went away in the middle gets no answer; this one is only counted.
  if (read === "broken") throw parseRefusal();
  return read;
}

/** `type/subtype` in lower case, as Python's email.message reads it; `text/plain` for what has no such form. */
export function mediaType(contentType: string): string {
  const type = (contentType.split(";")[0] ?? "").trim().toLowerCase();
  return type.split("/").length === 2 ? type : "text/plain";
}

function isJson(contentType: string | null): boolean {
  if (!contentType) return true;
  const type = mediaType(contentType);
  return type.startsWith("application/") && (type === "application/json" || type.endsWith("+json"));
}

function decodeUtf32(bytes: Uint8Array, littleEndian: boolean): string {
  if (bytes.length % 4 !== 0) throw parseRefusal();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const code = view.getUint32(at, littleEndian);
    if (code > 0x10ffff) throw parseRefusal();
    text += String.fromCodePoint(code);
  }
  return text;
}

/** Where JSON's first characters show which UTF it is written in: json.detect_encoding() of Python. */
function detectEncoding(b: Uint8Array): { name: string; littleEndian?: boolean; skip: number } {
  const starts = (...bom: number[]) => bom.every((byte, index) => b[index] === byte);
  if (starts(0, 0, 0xfe, 0xff)) return { name: "utf-32", littleEndian: false, skip: 4 };
  if (starts(0xff, 0xfe, 0, 0)) return { name: "utf-32", littleEndian: true, skip: 4 };
  if (starts(0xfe, 0xff)) return { name: "utf-16be", skip: 2 };
  if (starts(0xff, 0xfe)) return { name: "utf-16le", skip: 2 };
  if (starts(0xef, 0xbb, 0xbf)) return { name: "utf-8", skip: 3 };
  if (b.length >= 4) {
    if (b[0] === 0) {
      return b[1] === 0 ? { name: "utf-32", littleEndian: false, skip: 0 } : { name: "utf-16be", skip: 0 };
    }
    if (b[1] === 0) {
      return b[2] === 0 && b[3] === 0
        ? { name: "utf-32", littleEndian: true, skip: 0 }
        : { name: "utf-16le", skip: 0 };
    }
  } else if (b.length === 2) {
    if (b[0] === 0) return { name: "utf-16be", skip: 0 };
    if (b[1] === 0) return { name: "utf-16le", skip: 0 };
  }
  return { name: "utf-8", skip: 0 };
}

function decodeText(bytes: Uint8Array): string {
  const { name, littleEndian, skip } = detectEncoding(bytes);
  const rest = bytes.subarray(skip);
  if (name === "utf-32") return decodeUtf32(rest, littleEndian ?? false);
  try {
    return new TextDecoder(name, { fatal: true, ignoreBOM: true }).decode(rest);
  } catch {
    throw parseRefusal();
  }
}

/**
 * The body as FastAPI hands it to a model: null where there is none, parsed where it says it is JSON or says
 * nothing, else its bytes as text.
 *
 * @throws Rejection json_invalid with Python's position and message
 * @throws Refusal 400 not in a UTF, nested over 960 levels, or an integer of over 4,300 digits; 413 over 30,000 values
 */
export function parseBody(bytes: Uint8Array, contentType: string | null): Json {
  if (bytes.length === 0) return null;
  if (!isJson(contentType)) return new TextDecoder().decode(bytes);
  try {
    return parseJson(decodeText(bytes), depthMax, valuesMax);
  } catch (error) {
    if (error instanceof JsonLimitError && error.limit === "values") {
      throw new Refusal(413, `Request body too large: at most ${valuesMax} values`);
    }
    if (error instanceof JsonLimitError) throw parseRefusal();
    if (!(error instanceof JsonSyntaxError)) throw error;
    const ctx: JsonObject = new Map([["error", error.msg]]);
    const loc = ["body", error.position];
    throw new Rejection([{ type: "json_invalid", loc, msg: "JSON decode error", input: new Map(), ctx }]);
  }
}
