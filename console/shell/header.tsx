/** The head of every page: name, menu of pages, language, theme and account. */
import { hasRole, session, signOut } from "../api/session.ts";
import { asApiError } from "../api/problem.ts";
import { IconButton } from "../kit/button.tsx";
import { isHelpOpen } from "../kit/help.tsx";
import { Icon } from "../kit/icons.tsx";
import { Menu } from "../kit/menu.tsx";
import { Link, path } from "../kit/router.tsx";
import { describeFailure } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import { setTheme, theme, themes } from "../kit/theme.ts";
import { showToast } from "../kit/toast.tsx";
import { getLanguage, languages, removeDrafts, setLanguage } from "../text/language.ts";
import { routes } from "./routes.ts";

/** The sign of the product: a sheet of six frames, one of which is chosen. */
export function Wordmark() {
  return (
    <span class="wordmark">
      <svg viewBox="0 0 22 16" class="wordmark-sign" aria-hidden="true">
        <path d="M0 0h6v7H0zM8 0h6v7H8zM16 0h6v7h-6zM0 9h6v7H0zM16 9h6v7h-6z" />
        <path class="chosen" d="M8 9h6v7H8z" />
      </svg>
      <span class="wordmark-name">{common.value.product}</span>
    </span>
  );
}

function Navigation() {
  const { nav, menu } = common.value;
  return (
    <nav class="nav" aria-label={menu}>
      {routes.map(({ path: to, nav: entry }) => {
        if (!entry || entry.roles && !hasRole(...entry.roles)) return null;
        const isCurrent = path.value === to || to === "/" && path.value.startsWith("/runs");
        return (
          <Link key={to} to={to} class="nav-item" aria-current={isCurrent ? "page" : undefined}>
            <Icon name={entry.icon} />
            <span>{nav[entry.key]}</span>
          </Link>
        );
      })}
    </nav>
  );
}

/** Language and theme. Signed-out people need them, too. */
export function Preferences() {
  const sign = getLanguage() === "zh" ? "中" : "EN";
  const { language, languageNames, theme: themeLabel, themes: themeNames } = common.value;
  return (
    <>
      <Menu
        label={`${language}: ${sign}`}
        items={languages.map((one) => ({
          label: languageNames[one],
          checked: one === getLanguage(),
          run: () => void setLanguage(one),
        }))}
      >
        <span class="language-sign">{sign}</span>
      </Menu>
      <Menu
        label={themeLabel}
        items={themes.map((one) => ({
          label: themeNames[one],
          checked: one === theme.value,
          run: () => setTheme(one),
        }))}
      >
        <span class="theme-sign" aria-hidden="true" />
      </Menu>
    </>
  );
}

async function leave(): Promise<void> {
  try {
    await signOut();
  } catch (error) {
    showToast({ text: describeFailure(asApiError(error)), kind: "failed" });
  } finally {
    // Drafts are also removed if the server cannot be reached: the next person at this browser must not see them.
    removeDrafts();
  }
}

function Account() {
  const { value } = session;
  if (value.state !== "signed_in") return null;
  const { fullname, email } = value.user;
  return (
    <Menu
      label={`${common.value.account}: ${fullname || email}`}
      items={[{ label: common.value.signOut, icon: "external", run: () => void leave() }]}
    >
      <Icon name="person" />
      <span class="account-name">{fullname || email}</span>
    </Menu>
  );
}

export function Header() {
  const { help, skip } = common.value;
  const isShared = session.value.state === "shared";
  return (
    <header class="header">
      <a class="skip" href="#content">{skip}</a>
      {isShared
        ? (
          <span class="home">
            <Wordmark />
          </span>
        )
        : (
          <Link to="/" class="home">
            <Wordmark />
          </Link>
        )}
      {isShared ? <span class="header-share">{common.value.shared.title}</span> : <Navigation />}
      <div class="header-end">
        <Preferences />
        <IconButton icon="help" label={help} onClick={() => (isHelpOpen.value = true)} />
        <Account />
      </div>
    </header>
  );
}
