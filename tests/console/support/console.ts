/** The console in a browser, against a real API whose images a local server draws. */
import type { Page } from "playwright-core";
import { drawCell } from "../../../dev/servers/draw.ts";
import { buildConsole } from "../../../dev/console/build.ts";
import { startApi, type TestApi, type TestApiOptions } from "../../support/api.ts";
import { openPage, type TestPage } from "../../support/browser.ts";
import type { Kind } from "../../support/people.ts";
import { password } from "../../support/people.ts";
import { addPeople, type V2Person } from "../../v2/support/api.ts";

/** A server that draws the image of a cell: `/TASK/CELL.png`. */
export interface ImageServer extends AsyncDisposable {
  origin: string;
  /** Number of requests so far. */
  requests: number;
  /** Answers with this status instead of an image, such as 403 for an expired URL. */
  status: number;
}

function startImages(): ImageServer {
  const images = { requests: 0, status: 200 };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    images.requests++;
    if (images.status !== 200) return new Response(null, { status: images.status });
    const [, prompt = "", seed = "0"] = new URL(url).pathname.match(/^\/(.+)\/(\d+)\.png$/) ?? [];
    const request = { prompt: decodeURIComponent(prompt), width: 1024, height: 1024, seed: Number(seed) };
    const bytes = await drawCell(request);
    return new Response(new Uint8Array(bytes), {
      headers: { "content-type": "image/png", "cache-control": "max-age=3600" },
    });
  });
  return Object.assign(images, {
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}

/** An API that serves the console, its users, and the images of its cells. */
export interface ConsoleRig extends AsyncDisposable {
  api: TestApi;
  images: ImageServer;
  people: Record<Kind, V2Person>;
}

/** Builds the console if needed and starts the API with users. */
export async function startConsole(options: TestApiOptions = {}): Promise<ConsoleRig> {
  await buildConsole();
  const images = startImages();
  const env = { IMAGE_HOSTS: images.origin, ...options.env };
  const api = await startApi({ ...options, env });
  const people = await addPeople(api);
  return {
    api,
    images,
    people,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await images[Symbol.asyncDispose]();
    },
  };
}

/** How a page looks. */
export interface Look {
  width?: number;
  height?: number;
  theme?: "light" | "dark";
  language?: "en" | "zh";
}

/** Opens a page of the console in a new browser, signed out. @param path without `/console` */
export async function openConsole(
  { api }: Pick<ConsoleRig, "api">,
  path = "/",
  { width = 1440, height = 900, theme = "light", language = "en" }: Look = {},
): Promise<TestPage> {
  const opened = await openPage(width, height);
  const { page } = opened;
  await page.emulateMedia({ colorScheme: theme });
  await page.addInitScript(`try {
    if (!localStorage.getItem("contactsheet language")) localStorage.setItem("contactsheet language", "${language}");
  } catch {}`);
  await page.goto(`${api.origin}/console${path === "/" ? "" : path}`);
  return opened;
}

/** Fills the form of the sign-in page and sends it. */
export async function submitSignIn(page: Page, email: string, given = password): Promise<void> {
  await page.locator("[name=email]").fill(email);
  await page.locator("[name=password]").fill(given);
  await page.keyboard.press("Enter");
}

/** Opens a page of the console and signs in. */
export async function openSignedIn(
  rig: Pick<ConsoleRig, "api">,
  path = "/",
  { kind = "user", ...look }: Look & { kind?: Kind } = {},
): Promise<TestPage> {
  const opened = await openConsole(rig, path, look);
  await submitSignIn(opened.page, `${kind}@example.com`);
  await opened.page.locator("#content:not([aria-busy])").waitFor();
  await opened.page.locator(".header").waitFor();
  return opened;
}

/** Folder that receives pictures, by CONSOLE_SHOTS; without it no picture is taken. */
const shotFolder = Deno.env.get("CONSOLE_SHOTS");

/** Takes a picture of the page for people to look at. */
export async function takePicture(page: Page, name: string, isWhole = false): Promise<void> {
  if (shotFolder === undefined) return;
  await Deno.mkdir(shotFolder, { recursive: true });
  await page.screenshot({ path: `${shotFolder}/${name}.png`, fullPage: isWhole });
}
