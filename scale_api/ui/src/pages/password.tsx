// One's own password.
import { useState } from "preact/hooks";
import { BASE, go } from "../core/address";
import { ApiError, change } from "../core/api";
import { type Session, session } from "../core/session";
import { done } from "../core/toasts";
import { TextField } from "../parts/form";
import { Empty, Page, Panel, Refusal } from "../parts/page";

export default function Password() {
  const account = session.value?.account;
  return (
    <Page title="My password">
      {account?.via === "session" ? (
        <Form name={account.name} />
      ) : (
        <Empty title="There is no password of yours to change.">
          {account
            ? "You came with a token. Sign in with your name and password first."
            : "Nobody is asked to sign in here. The first account changes that: make it on the page Accounts."}
        </Empty>
      )}
    </Page>
  );
}

function Form({ name }: { name: string }) {
  const [old, setOld] = useState("");
  const [made, setMade] = useState("");
  const [again, setAgain] = useState("");
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const isOther = again !== "" && made !== again;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setError(undefined);
    try {
      session.value = await change<Session>("POST", "/session/password/", { old_password: old, password: made });
    } catch (reason) {
      if (!(reason instanceof ApiError)) throw reason;
      setError(reason);
      return;
    }
    done("Your password is changed; wherever else you were signed in you no longer are");
    go(`${BASE}/`);
  };
  return (
    <Panel class="sign-in">
      {error && <Refusal error={error} />}
      <form onSubmit={submit}>
        <input type="text" name="username" value={name} autocomplete="username" readOnly hidden />
        <TextField
          label="Present password"
          value={old}
          onValue={setOld}
          isRequired
          isSecret
          autocomplete="current-password"
        />
        <TextField
          label="New password"
          value={made}
          onValue={setMade}
          isRequired
          isSecret
          autocomplete="new-password"
          hint="At least 12 characters. All your other sessions end; tokens stay."
        />
        <TextField
          label="The new one again"
          value={again}
          onValue={setAgain}
          isRequired
          isSecret
          autocomplete="new-password"
          hint={isOther ? "This is not the same." : undefined}
        />
        <button type="submit" class="primary" disabled={!old || !made || made !== again}>
          Change it
        </button>
      </form>
    </Panel>
  );
}
