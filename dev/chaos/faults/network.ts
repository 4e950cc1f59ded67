/** Faults of the network between a worker and the servers, and of the image API. */
import type { Proxy, ProxyMode } from "../proxy.ts";
import { type Fault, type FaultParameters, type ImageApiFaults, type Rig, workerOf } from "../rig.ts";
import { pause } from "../servers.ts";

/** Puts a proxy into a mode for `ms`, and then closes its connections if `thenCut` is set. */
async function disturbProxy(proxy: Proxy, mode: ProxyMode, ms: number, thenCut: boolean): Promise<void> {
  proxy.set(mode);
  await pause(ms);
  if (thenCut) proxy.cut();
  proxy.set("pass");
}

type Proxied = "postgres" | "redis" | "api";

const disturbNetwork =
  (server: Proxied, mode: ProxyMode, cutAfter: "always" | "never" | "sometimes" | "first") =>
  async (rig: Rig, parameters: FaultParameters) => {
    const proxy = workerOf(rig, parameters)[server];
    if (cutAfter === "first") proxy.cut();
    const thenCut = cutAfter === "always" || (cutAfter === "sometimes" && parameters.variation < 0.5);
    await disturbProxy(proxy, mode, parameters.ms, thenCut);
  };

async function answerErrors(
  imageApi: ImageApiFaults,
  errorAnswer: ImageApiFaults["errorAnswer"],
  ms: number,
): Promise<void> {
  imageApi.errorAnswer = errorAnswer;
  await pause(ms);
  imageApi.errorAnswer = undefined;
}

async function slowImageApi({ imageApi }: Rig, { ms }: FaultParameters): Promise<void> {
  imageApi.delayMs = 1_500;
  await pause(ms);
  imageApi.delayMs = 0;
}

/** The faults of the network and of the image API. */
export const networkFaults = {
  postgres_silent: {
    about: "PostgreSQL's packets are lost",
    ms: [5_000, 10_000],
    weight: 2,
    inject: disturbNetwork("postgres", "hold", "sometimes"),
  },
  postgres_mute: {
    about: "PostgreSQL's replies are lost, then its connections close",
    ms: [50, 1_500],
    weight: 4,
    inject: disturbNetwork("postgres", "mute", "always"),
  },
  postgres_cut: {
    about: "PostgreSQL's connections are closed and refused",
    ms: [0, 1_500],
    weight: 2,
    inject: disturbNetwork("postgres", "refuse", "first"),
  },
  postgres_slow: {
    about: "PostgreSQL is slow",
    ms: [500, 3_000],
    weight: 1,
    inject: disturbNetwork("postgres", "slow", "never"),
  },
  postgres_orphan: {
    about: "PostgreSQL's open connections stay silent; new ones work",
    ms: [0, 0],
    weight: 2,
    inject: (rig, parameters) => Promise.resolve(workerOf(rig, parameters).postgres.orphan()),
  },
  redis_silent: {
    about: "Redis' packets are lost",
    ms: [2_000, 8_000],
    weight: 2,
    inject: disturbNetwork("redis", "hold", "sometimes"),
  },
  redis_mute: {
    about: "Redis' replies are lost, then its connections close",
    ms: [50, 1_500],
    weight: 3,
    inject: disturbNetwork("redis", "mute", "always"),
  },
  redis_orphan: {
    about: "Redis' open connections stay silent; new ones work",
    ms: [0, 0],
    weight: 2,
    inject: (rig, parameters) => Promise.resolve(workerOf(rig, parameters).redis.orphan()),
  },
  api_silent: {
    about: "the image API's packets are lost, then its connections close",
    ms: [500, 3_000],
    weight: 2,
    spoilsAttempts: true,
    inject: disturbNetwork("api", "hold", "always"),
  },
  api_mute: {
    about: "the image API's answers are lost, then its connections close",
    ms: [50, 1_000],
    weight: 2,
    spoilsAttempts: true,
    inject: disturbNetwork("api", "mute", "always"),
  },
  api_cut: {
    about: "the image API's connections are closed and refused",
    ms: [0, 1_500],
    weight: 1,
    spoilsAttempts: true,
    inject: disturbNetwork("api", "refuse", "first"),
  },
  api_hang: {
    about: "the image API takes 1.5 s per call",
    ms: [500, 3_000],
    weight: 2,
    inject: slowImageApi,
  },
  api_500: {
    about: "the image API answers 500",
    ms: [200, 2_000],
    weight: 2,
    spoilsAttempts: true,
    inject: ({ imageApi }, { ms }) => answerErrors(imageApi, { status: 500 }, ms),
  },
  api_429: {
    about: "the image API answers 429",
    ms: [200, 2_000],
    weight: 2,
    spoilsAttempts: true,
    inject: ({ imageApi }, { ms, variation }) =>
      answerErrors(imageApi, variation < 0.5 ? { status: 429 } : { status: 429, retryAfter: 1 }, ms),
  },
  api_html: {
    about: "a proxy answers for the image API with HTML",
    ms: [200, 2_000],
    weight: 1,
    spoilsAttempts: true,
    inject: ({ imageApi }, { ms }) => answerErrors(imageApi, { status: 502, html: true }, ms),
  },
} satisfies Record<string, Fault>;
