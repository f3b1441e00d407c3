// Signing in, where Scale asks for it, and out again.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { to } from "../core/address";
import { ApiError, change, get } from "../core/api";
import { mustSignIn, type Session, session } from "../core/session";
import { attempt } from "../core/toasts";
import { TextField } from "./form";
import { Page, Panel, Refusal, Skeleton } from "./page";

/** Its children, once somebody may see them. */
export function Gate({ children }: { children: ComponentChildren }) {
  const [error, setError] = useState<ApiError | undefined>(undefined);
  useEffect(() => {
    get<Session>("/session/").then(
      (found) => {
        session.value = found;
      },
      (reason) => setError(reason),
    );
  }, []);
  if (mustSignIn()) return <SignIn />;
  if (session.value) return <>{children}</>;
  return <Page title="Scale">{error ? <Refusal error={error} /> : <Skeleton lines={6} />}</Page>;
}

function SignIn() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setError(undefined);
    try {
      session.value = await change<Session>("POST", "/sign-in/", { name, password });
    } catch (reason) {
      if (!(reason instanceof ApiError)) throw reason;
      setError(reason);
    }
  };
  const elsewhere = session.value?.access_control.sign_on;
  return (
    <Page title="Sign in">
      <Panel class="sign-in">
        {error && <Refusal error={error} />}
        <form onSubmit={submit}>
          <TextField label="Name" value={name} onValue={setName} isRequired autocomplete="username" />
          <TextField
            label="Password"
            value={password}
            onValue={setPassword}
            isRequired
            isSecret
            autocomplete="current-password"
          />
          <button type="submit" class="primary">
            Sign in
          </button>
          {elsewhere && (
            <a class="button" href={elsewhere} target="_self">
              Sign in with your organisation
            </a>
          )}
        </form>
      </Panel>
    </Page>
  );
}

/** Who one is, and the way out; nothing where nobody is asked. */
export function Account() {
  const account = session.value?.account;
  if (!account) return null;
  const leave = (): void => {
    void attempt("You are signed out", async () => {
      session.value = await change<Session>("POST", "/sign-out/", {});
    });
  };
  return (
    <p class="account">
      {account.name} <span>({account.role.toLowerCase()})</span>
      {account.via === "session" && <a href={to("/password")}>My password</a>}
      <button type="button" onClick={leave}>
        Sign out
      </button>
    </p>
  );
}
