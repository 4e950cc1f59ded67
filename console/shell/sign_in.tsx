/** Signing in: as a page of its own, and over a page whose session has ended. */
import { useEffect, useRef, useState } from "preact/hooks";
import { clockOffsetMs } from "../api/network.ts";
import { type ApiError, asApiError } from "../api/problem.ts";
import { session, signIn, signOut } from "../api/session.ts";
import { Button } from "../kit/button.tsx";
import { Dialog } from "../kit/dialog.tsx";
import { Checkbox, TextField } from "../kit/field.tsx";
import { describeFailure, Notice } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import { unsentInBrowser } from "../kit/unsent.ts";
import { formatDuration } from "../text/format.ts";
import { Preferences, Wordmark } from "./header.tsx";

/** Difference of the clocks above which the person is told. */
const clockMsMin = 5 * 60_000;

function ClockNotice() {
  const seconds = Math.abs(clockOffsetMs.value) / 1000;
  if (seconds * 1000 < clockMsMin) return null;
  return <Notice>{common.value.signIn.clock(formatDuration(seconds))}</Notice>;
}

/** Counts down the seconds that the server asked to wait. */
function useWait(): [number, (seconds: number) => void] {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    if (seconds <= 0) return;
    const timer = setTimeout(() => setSeconds(seconds - 1), 1000);
    return () => clearTimeout(timer);
  }, [seconds]);
  return [seconds, setSeconds];
}

interface Faults {
  email?: string;
  password?: string;
  form?: string;
}

function describe(error: ApiError): string {
  return error.code === "unauthenticated" ? common.value.signIn.wrong : describeFailure(error);
}

/** The fields and the button. @param knownEmail whose password is asked for again */
function SignInForm({ knownEmail }: { knownEmail?: string }) {
  const t = common.value.signIn;
  const [email, setEmail] = useState(knownEmail ?? "");
  const [password, setPassword] = useState("");
  const [isShown, setShown] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [faults, setFaults] = useState<Faults>({});
  const [wait, setWait] = useWait();
  const form = useRef<HTMLFormElement>(null);
  const focus = (name: string) => form.current?.querySelector<HTMLInputElement>(`[name=${name}]`)?.focus();
  // A dialog around the form takes the focus when it opens, which is after this effect.
  useEffect(() => queueMicrotask(() => focus(knownEmail === undefined ? "email" : "password")), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (isBusy || wait > 0) return;
    const missing: Faults = {};
    if (email.trim() === "") missing.email = t.needEmail;
    if (password === "") missing.password = t.needPassword;
    setFaults(missing);
    if (missing.email || missing.password) return focus(missing.email ? "email" : "password");
    setBusy(true);
    try {
      await signIn(email.trim(), password);
    } catch (caught) {
      const error = asApiError(caught);
      if (error.code === "too_many_requests") setWait(error.retryAfterSeconds ?? 1);
      else setFaults({ form: describe(error) });
      focus("password");
    } finally {
      setBusy(false);
    }
  };

  return (
    <form class="stack" ref={form} onSubmit={submit} noValidate>
      <TextField
        label={t.email}
        name="email"
        type="email"
        autocomplete="username"
        value={email}
        onInput={setEmail}
        fault={faults.email}
        readOnly={knownEmail !== undefined}
      />
      <TextField
        label={t.password}
        name="password"
        type={isShown ? "text" : "password"}
        autocomplete="current-password"
        value={password}
        onInput={setPassword}
        fault={faults.password}
      />
      <Checkbox label={t.show} checked={isShown} onChange={setShown} />
      <div role="alert">
        {wait > 0 && <Notice kind="warning">{t.tooMany(wait)}</Notice>}
        {wait === 0 && faults.form && <Notice kind="failed">{faults.form}</Notice>}
      </div>
      <Button kind="primary" type="submit" isBusy={isBusy} disabled={wait > 0}>{t.submit}</Button>
    </form>
  );
}

/** Frames of a sheet behind the form; one is marked as chosen. */
function SheetPicture() {
  return (
    <div class="sign-in-sheet" aria-hidden="true">
      {Array.from(
        { length: 24 },
        (_, i) => (
          <div key={i} class={`sheet-frame tone-${i * 7 % 5} ${i === 9 ? "chosen" : ""}`}>
            <span>{i + 1}</span>
            <span>{i + 1}A</span>
          </div>
        ),
      )}
    </div>
  );
}

/** Tells how many judgements are kept and not sent yet. */
function UnsentNotice() {
  const count = unsentInBrowser.value;
  return count === 0 ? null : <Notice kind="warning">{common.value.unsentKept(count)}</Notice>;
}

export function SignInPage() {
  const t = common.value.signIn;
  useEffect(() => {
    document.title = `${t.title} · ${common.value.product}`;
  }, [t]);
  return (
    <div class="sign-in">
      <SheetPicture />
      <main class="sign-in-main" id="content">
        <div class="sign-in-preferences row">
          <Preferences />
        </div>
        <div class="sign-in-form stack">
          <Wordmark />
          <h1>{t.title}</h1>
          <p class="muted">{t.lead}</p>
          <ClockNotice />
          <UnsentNotice />
          <SignInForm />
        </div>
      </main>
    </div>
  );
}

/** Asks for the password again over the page, which stays as it is. */
export function SignInAgain() {
  const { value } = session;
  if (value.state !== "signed_in" || !value.isExpired) return null;
  const t = common.value.signIn;
  const leave = <Button kind="quiet" onClick={() => void signOut()}>{t.otherUser}</Button>;
  return (
    <Dialog title={t.expiredTitle} actions={leave}>
      <p>{t.expired}</p>
      <UnsentNotice />
      <SignInForm knownEmail={value.user.email} />
    </Dialog>
  );
}
