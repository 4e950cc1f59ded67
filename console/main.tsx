/** Starts the console in the browser. */
import { render } from "preact";
import { startSession } from "./api/session.ts";
import { path } from "./kit/router.tsx";
import { common } from "./kit/texts.ts";
import { unsentInBrowser } from "./kit/unsent.ts";
import { sharePath } from "./shell/shared.tsx";
import { Shell } from "./shell/shell.tsx";

// The link of a share needs no session, also in a browser that has one.
if (path.value !== sharePath) void startSession();
await common.load();
render(<Shell />, document.getElementById("app")!);
// A page that was closed has left something to send.
if (unsentInBrowser.value > 0) void import("./shell/run_pages.ts").then(({ sendUnsent }) => sendUnsent());
