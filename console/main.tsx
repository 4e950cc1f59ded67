/** Starts the console in the browser. */
import { render } from "preact";
import { startSession } from "./api/session.ts";
import { common } from "./kit/texts.ts";
import { Shell } from "./shell/shell.tsx";

void startSession();
await common.load();
render(<Shell />, document.getElementById("app")!);
