/** The client of v2. Paths, bodies and responses are typed by the OpenAPI document. */
import createFetchClient from "openapi-fetch";
import type { components, paths } from "../../routes/v2/generated/schema.ts";
import { asApiError, isAbort, toApiError } from "./problem.ts";
import { authorizedFetch } from "./session.ts";

export type Schemas = components["schemas"];

/** Maximum number of repetitions of a read that the server put off. */
const repetitionsMax = 3;
const waitSecondsMax = 10;

const wait = (seconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });

/** Repeats reads that the server put off with 429 or 503, after the time that it names. */
async function patientFetch(request: Request): Promise<Response> {
  for (let repetition = 0;; repetition++) {
    const response = await authorizedFetch(request);
    const isPutOff = response.status === 429 || response.status === 503;
    const seconds = Number(response.headers.get("retry-after") ?? NaN);
    if (
      !isPutOff || request.method !== "GET" || repetition >= repetitionsMax || !(seconds <= waitSecondsMax)
    ) {
      return response;
    }
    await response.body?.cancel();
    await wait(seconds * (1 + Math.random() / 2), request.signal);
  }
}

/** The client. Pass what it returns to {@link unwrap}. */
export const v2 = createFetchClient<paths>({ baseUrl: location.origin, fetch: patientFetch });

interface FetchResult<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Returns the data of a response. @throws ApiError; an abort as it is */
export async function unwrap<T>(sending: Promise<FetchResult<T>>): Promise<T> {
  try {
    const { data, error, response } = await sending;
    if (!response.ok) throw toApiError(response, error);
    return data as T;
  } catch (error) {
    throw isAbort(error) ? error : asApiError(error);
  }
}
