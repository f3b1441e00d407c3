// API tokens: how programs show who they are. A token is shown once.
import { useState } from "preact/hooks";
import { asQuery, query, to } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { now } from "../core/clock";
import { useLive } from "../core/live";
import { ROLES } from "../core/session";
import { attempt, done } from "../core/toasts";
import type { Account, ApiToken } from "../core/types";
import { Dialog, Question } from "../parts/dialog";
import { Choice, Filters } from "../parts/filters";
import { SelectField, TextField } from "../parts/form";
import { None, NoRows, Page, Panel } from "../parts/page";
import { Health } from "../parts/status";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Time } from "../parts/time";

export default function Tokens() {
  const size = pageSize();
  const order = query.value.get("order") ?? "-created";
  const account = query.value.get("account_id");
  const accounts = useLive<Rows<Account>>("/accounts/?order=name&page_size=1000", 0).data?.results ?? [];
  const live = useLive<Rows<ApiToken>>(
    `/tokens/?${asQuery({ account_id: account, order, page: pageNumber(), page_size: size })}`,
    15,
  );
  const [isMaking, setMaking] = useState(false);
  const [shown, setShown] = useState<Made | null>(null);
  const [revoked, setRevoked] = useState<ApiToken | null>(null);
  const columns: readonly Column<ApiToken>[] = [
    { name: "Token", cell: (each) => each.name, order: "name" },
    { name: "Begins with", cell: (each) => <code>{each.hint}…</code> },
    { name: "Account", cell: (each) => each.account.name },
    { name: "Role", cell: (each) => each.role, order: "role", kind: "tight" },
    { name: "Narrowed to", cell: (each) => <Scope scope={each.scope} />, kind: "wide" },
    { name: "State", cell: (each) => <TokenState token={each} />, kind: "tight" },
    { name: "Ends", cell: (each) => <Time at={each.expires} />, order: "expires", kind: "tight" },
    {
      name: "Last used",
      cell: (each) => (
        <>
          <Time at={each.last_used} none="never" /> {each.last_address && `from ${each.last_address}`}
        </>
      ),
      order: "last_used",
    },
    {
      name: "Revoke",
      kind: "tight",
      cell: (each) =>
        each.revoked ? (
          <None />
        ) : (
          <button type="button" class="slim" onClick={() => setRevoked(each)}>
            Revoke…<span class="unseen"> {each.name}</span>
          </button>
        ),
    },
  ];
  return (
    <Page
      title="Tokens"
      lead="A program shows its token as Authorization: Bearer. It may no more than its account, and no longer."
      actions={
        <>
          <a class="button" href={to("/accounts")}>
            Accounts
          </a>
          <button type="button" disabled={!accounts.length} onClick={() => setMaking(true)}>
            New token…
          </button>
        </>
      }
    >
      <Filters>
        <Choice
          name="account_id"
          label="Account"
          options={accounts.map((each) => ({ value: String(each.id), label: each.name }))}
        />
      </Filters>
      <Table
        caption="Tokens"
        columns={columns}
        rows={live.data?.results}
        rowKey={(each) => each.id}
        order={order}
        error={live.error}
        isStale={live.isStale}
        skeleton={3}
        empty={
          <Panel>
            <NoRows isFiltered={account !== null} noun="token" all={to("/tokens")} title="There are no tokens yet.">
              {accounts.length ? (
                "Give each program one of its own, with the least role that it needs."
              ) : (
                <>
                  A token belongs to an <a href={to("/accounts")}>account</a>, and there is none yet.
                </>
              )}
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={size} />
      {isMaking && (
        <Make
          accounts={accounts.filter((each) => each.is_active)}
          onClose={() => setMaking(false)}
          onMade={async (made) => {
            setShown(made);
            await live.reload();
          }}
        />
      )}
      {shown && <Secret made={shown} onClose={() => setShown(null)} />}
      {revoked && (
        <Question
          title={`Revoke ${revoked.name}?`}
          verb="Revoke it"
          isDangerous
          onYes={async () => {
            await change("DELETE", `/tokens/${revoked.id}/`);
            done(`The token ${revoked.name} is revoked`);
            await live.reload();
          }}
          onClose={() => setRevoked(null)}
        >
          <p>From now on it opens nothing, and that cannot be taken back. It stays in the list.</p>
        </Question>
      )}
    </Page>
  );
}

function Scope({ scope }: { scope: readonly string[] }) {
  if (!scope.length) return <None>nothing: all that its role may</None>;
  return (
    <ul>
      {scope.map((each) => (
        <li key={each}>
          <code>{each}</code>
        </li>
      ))}
    </ul>
  );
}

function TokenState({ token }: { token: ApiToken }) {
  if (token.revoked) return <Health tone="off">Revoked</Health>;
  if (Date.parse(token.expires) <= now.value) return <Health tone="off">Ended</Health>;
  return <Health tone="good">Opens Scale</Health>;
}

type Made = ApiToken & { token: string };

interface MakeProps {
  accounts: readonly Account[];
  onClose: () => void;
  onMade: (made: Made) => Promise<void>;
}

function Make({ accounts, onClose, onMade }: MakeProps) {
  const [name, setName] = useState("");
  const [account, setAccount] = useState(String(accounts[0]?.id ?? ""));
  const [role, setRole] = useState("");
  const [days, setDays] = useState("90");
  const [scope, setScope] = useState("");
  const make = async (): Promise<void> => {
    const lines = scope
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean);
    await onMade(
      await change<Made>("POST", "/tokens/", {
        name,
        account_id: Number(account),
        days: Number(days),
        scope: lines,
        ...(role ? { role } : {}),
      }),
    );
  };
  return (
    <Question title="New token" verb="Make it" onYes={make} onClose={onClose}>
      <TextField label="Name" value={name} onValue={setName} isRequired maxLength={100} hint="What it is for." />
      <SelectField
        label="Account"
        value={account}
        onValue={setAccount}
        options={accounts.map((each) => ({ value: String(each.id), label: `${each.name}, ${each.role}` }))}
      />
      <SelectField
        label="Role"
        value={role}
        onValue={setRole}
        options={[
          { value: "", label: "that of its account" },
          ...ROLES.map((each) => ({ value: each, label: each as string })),
        ]}
      />
      <TextField label="Days until it ends" value={days} onValue={setDays} isRequired isNumber />
      <TextField
        label="Narrowed to"
        value={scope}
        onValue={setScope}
        rows={3}
        isCode
        placeholder="GET /jobs/"
        hint="Operations that it may ask for, one a line, such as * /queue/; empty: all that its role may."
      />
    </Question>
  );
}

function Secret({ made, onClose }: { made: Made; onClose: () => void }) {
  const copy = (): void => {
    void attempt("The token is copied", () => navigator.clipboard.writeText(made.token));
  };
  return (
    <Dialog title={`The token ${made.name}`} onClose={onClose}>
      <div class="dialog-content">
        <p>It is shown this once: Scale keeps only its hash. Put it where the program finds it and nobody else.</p>
        <p class="command">
          <code>{made.token}</code>
        </p>
        <div class="actions">
          {"clipboard" in navigator && (
            <button type="button" onClick={copy}>
              Copy
            </button>
          )}
          <button type="button" class="primary" onClick={onClose}>
            I have it
          </button>
        </div>
      </div>
    </Dialog>
  );
}
