/** Opens the link of a share, and explains why a link does not open. */
import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError } from "../api/problem.ts";
import { enterShare, leaveShare } from "../api/session.ts";
import { Button } from "../kit/button.tsx";
import { Page } from "../kit/page.tsx";
import { hrefOf, navigate } from "../kit/router.tsx";
import { Empty, FailureBox, Loading } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";

/** The path of a share's link. The token stands behind the #, which browsers do not send. */
export const sharePath = "/shared";

/** Why a share cannot be seen: it `ended`, or the page was loaded again and has no token (`reloaded`). */
type Reason = "ended" | "reloaded";

export function ShareEnded({ reason }: { reason: Reason }) {
  const t = common.value.shared;
  const leave = () => {
    leaveShare();
    navigate("/", true);
  };
  return (
    <Page title={t.title}>
      <Empty icon="share" title={t[reason]} action={<Button onClick={leave}>{t.signIn}</Button>}>
        {t[`${reason}Text`]}
      </Empty>
    </Page>
  );
}

/** Takes the token out of the address at once, so that it stays in no history. */
function takeToken(): string {
  const token = location.hash.slice(1);
  history.replaceState(null, "", hrefOf(sharePath));
  return token;
}

export function OpenShare() {
  const [token, setToken] = useState(takeToken);
  const [failure, setFailure] = useState<ApiError>();
  const open = async () => {
    setFailure(undefined);
    try {
      const { mode, task } = await enterShare(token);
      navigate(`/runs/${task.id}${mode === "rate" ? "/rate" : ""}`, true);
    } catch (error) {
      setFailure(asApiError(error));
    }
  };
  useEffect(() => void open(), [token]);
  useEffect(() => {
    const readAgain = () => setToken(takeToken());
    addEventListener("hashchange", readAgain);
    return () => removeEventListener("hashchange", readAgain);
  }, []);
  if (failure?.code === "unauthenticated") return <ShareEnded reason="ended" />;
  return (
    <Page title={common.value.shared.title}>
      {failure ? <FailureBox failure={failure} retry={() => void open()} /> : <Loading />}
    </Page>
  );
}
