/** Pages in a real Chromium. */
import { chromium, type Page } from "playwright-core";

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

/** Returns CHROMIUM_PATH, or the path of a `chromium` on PATH. */
async function findChromium(): Promise<string | undefined> {
  const given = Deno.env.get("CHROMIUM_PATH");
  if (given !== undefined) return given;
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (await isFile(`${folder}/chromium`)) return `${folder}/chromium`;
  }
}

const executablePath = await findChromium();

/** Whether there is a browser. Tests that need one are ignored without it. */
export const hasBrowser = executablePath !== undefined;
if (!hasBrowser) console.log("ignored: tests in a browser need chromium on PATH or CHROMIUM_PATH");

/** Switches off what tests do not need and what makes requests of its own. */
const args = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface TestPage extends AsyncDisposable {
  page: Page;
  /** Errors of scripts, messages of the console's level `error`, and violations of the content security policy. */
  errors: string[];
  /** Origins of all requests. */
  origins: Set<string>;
}

/** Opens an empty page in a new browser, whose profile is empty. */
export async function openPage(width = 1440, height = 900): Promise<TestPage> {
  const browser = await chromium.launch({ executablePath: executablePath!, chromiumSandbox: false, args });
  // A context of its own can have further tabs.
  const context = await browser.newContext({ viewport: { width, height } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const errors: string[] = [];
  const origins = new Set<string>();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:") origins.add(url.origin);
  });
  await page.exposeFunction("reportViolation", (text: string) => errors.push(text));
  await page.addInitScript(`
    document.addEventListener("securitypolicyviolation", (event) =>
      reportViolation(event.violatedDirective + " forbids " + (event.blockedURI || event.sourceFile)))`);
  return {
    page,
    errors,
    origins,
    async [Symbol.asyncDispose]() {
      await browser.close();
    },
  };
}
