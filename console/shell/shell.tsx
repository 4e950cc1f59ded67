/** The frame of the console: the head, the page, messages, and what lies over them. */
import { useEffect } from "preact/hooks";
import { isOnline } from "../api/network.ts";
import { session, startSession, wasShared } from "../api/session.ts";
import { Help, isHelpOpen } from "../kit/help.tsx";
import { Icon } from "../kit/icons.tsx";
import { announce, LiveRegions } from "../kit/live.tsx";
import { path } from "../kit/router.tsx";
import { useShortcuts } from "../kit/shortcuts.ts";
import { Boundary, FailureBox } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import { Toasts } from "../kit/toast.tsx";
import { Header } from "./header.tsx";
import { OpenShare, ShareEnded, sharePath } from "./shared.tsx";
import { SignInAgain, SignInPage } from "./sign_in.tsx";
import { View } from "./view.tsx";

function OfflineBanner() {
  const { offline, online } = common.value;
  const isOffline = !isOnline.value;
  useEffect(() => {
    if (isOffline) announce(offline, true);
    return () => {
      if (isOffline) announce(online);
    };
  }, [isOffline]);
  if (!isOffline) return null;
  return (
    <div class="offline">
      <Icon name="warning" />
      <span>{offline}</span>
    </div>
  );
}

function Content() {
  const { value } = session;
  if (path.value === sharePath) return <OpenShare />;
  if (value.state === "shared" && value.isEnded) return <ShareEnded reason="ended" />;
  if (value.state === "signed_out") return wasShared() ? <ShareEnded reason="reloaded" /> : <SignInPage />;
  if (value.state === "starting") {
    const { failure } = value;
    if (!failure) return <main class="page" id="content" aria-busy="true" />;
    return (
      <main class="page" id="content">
        <FailureBox failure={failure} retry={() => void startSession()} />
      </main>
    );
  }
  return (
    <>
      <Header />
      <View />
    </>
  );
}

export function Shell() {
  const { help, helpGlobal } = common.value;
  useShortcuts(helpGlobal, [
    { keys: ["?"], label: help, run: () => (isHelpOpen.value = true) },
  ]);
  return (
    <>
      <OfflineBanner />
      <Boundary>
        <Content />
      </Boundary>
      <SignInAgain />
      <Help />
      <Toasts />
      <LiveRegions />
    </>
  );
}
