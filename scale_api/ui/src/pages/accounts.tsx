// Who may use Scale, and in which role.
import { useState } from "preact/hooks";
import { asQuery, query, to } from "../core/address";
import { change, get, type Page as Rows } from "../core/api";
import { useLive } from "../core/live";
import { ROLES, type Role, type Session, session } from "../core/session";
import { done } from "../core/toasts";
import type { Account } from "../core/types";
import { Question } from "../parts/dialog";
import { Choice, Filters } from "../parts/filters";
import { SelectField, TextField } from "../parts/form";
import { NoRows, Page, Panel } from "../parts/page";
import { Health } from "../parts/status";
import { type Column, Pager, pageNumber, pageSize, Table } from "../parts/table";
import { Time } from "../parts/time";

const FILTERS = ["role", "is_active"] as const;
const MAY: Record<Role, string> = {
  viewer: "viewer: may look at everything but accounts, tokens and the audit",
  operator: "operator: also jobs, the queue, nodes and Strikes",
  admin: "admin: everything",
};
const STATES = [
  { value: "true", label: "May sign in" },
  { value: "false", label: "Disabled" },
];

export default function Accounts() {
  const size = pageSize();
  const order = query.value.get("order") ?? "name";
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.value.get(name)]));
  const live = useLive<Rows<Account>>(
    `/accounts/?${asQuery({ ...wanted, order, page: pageNumber(), page_size: size })}`,
    15,
  );
  const [edited, setEdited] = useState<Account | "new" | null>(null);
  const columns: readonly Column<Account>[] = [
    { name: "Account", cell: (each) => each.name, order: "name" },
    { name: "Role", cell: (each) => each.role, order: "role", kind: "tight" },
    { name: "State", cell: (each) => <AccountState account={each} />, order: "is_active", kind: "tight" },
    { name: "Signed in", cell: (each) => <Time at={each.last_sign_in} none="never" />, order: "last_sign_in" },
    { name: "Made", cell: (each) => <Time at={each.created} />, order: "created" },
    {
      name: "What it did",
      kind: "tight",
      cell: (each) => (
        <a href={to("/audit", { account_name: each.name })}>
          Audit<span class="unseen"> of {each.name}</span>
        </a>
      ),
    },
    {
      name: "Edit",
      kind: "tight",
      cell: (each) => (
        <button type="button" class="slim" onClick={() => setEdited(each)}>
          Edit…<span class="unseen"> {each.name}</span>
        </button>
      ),
    },
  ];
  return (
    <Page
      title="Accounts"
      lead="People sign in by a name and a password; programs show a token of an account."
      actions={
        <>
          <a class="button" href={to("/tokens")}>
            Tokens
          </a>
          <button type="button" onClick={() => setEdited("new")}>
            New account…
          </button>
        </>
      }
    >
      <Filters>
        <Choice name="role" label="Role" options={ROLES.map((role) => ({ value: role, label: role }))} />
        <Choice name="is_active" label="State" options={STATES} />
      </Filters>
      <Table
        caption="Accounts"
        columns={columns}
        rows={live.data?.results}
        rowKey={(each) => each.id}
        order={order}
        error={live.error}
        isStale={live.isStale}
        skeleton={3}
        empty={
          <Panel>
            <NoRows
              isFiltered={FILTERS.some((name) => query.value.has(name))}
              noun="account"
              all={to("/accounts")}
              title="There are no accounts yet."
            >
              Whoever reaches this machine's loopback may do everything. The first account ends that, for good.
            </NoRows>
          </Panel>
        }
      />
      <Pager count={live.data?.count} size={size} />
      {edited === "new" && <Make onClose={() => setEdited(null)} onDone={live.reload} />}
      {edited && edited !== "new" && <Edit account={edited} onClose={() => setEdited(null)} onDone={live.reload} />}
    </Page>
  );
}

function AccountState({ account }: { account: Account }) {
  return <Health tone={account.is_active ? "good" : "off"}>{account.is_active ? "May sign in" : "Disabled"}</Health>;
}

interface DialogProps {
  onClose: () => void;
  onDone: () => Promise<void>;
}

function Make({ onClose, onDone }: DialogProps) {
  const isFirst = !session.value?.access_control.is_on;
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>(isFirst ? "admin" : "viewer");
  const [password, setPassword] = useState("");
  const make = async (): Promise<void> => {
    await change("POST", "/accounts/", { name, role, password });
    done(`The account ${name} is made`);
    if (isFirst) session.value = await get<Session>("/session/");
    await onDone();
  };
  return (
    <Question title="New account" verb="Make it" onYes={make} onClose={onClose}>
      {isFirst && (
        <p class="verdict">
          Nobody is asked who they are yet. Within seconds of the first account everybody is, and for good: make an
          administrator first, whose password you know.
        </p>
      )}
      <TextField label="Name" value={name} onValue={setName} isRequired maxLength={150} autocomplete="off" />
      <RoleField value={role} onValue={setRole} />
      <TextField
        label="Password"
        value={password}
        onValue={setPassword}
        isRequired
        isSecret
        autocomplete="new-password"
        hint="At least 12 characters."
      />
    </Question>
  );
}

function Edit({ account, onClose, onDone }: DialogProps & { account: Account }) {
  const [role, setRole] = useState<string>(account.role);
  const [isActive, setActive] = useState(String(account.is_active));
  const [password, setPassword] = useState("");
  const save = async (): Promise<void> => {
    const changes = { role, is_active: isActive === "true", ...(password ? { password } : {}) };
    await change("PATCH", `/accounts/${account.id}/`, changes);
    done(`The account ${account.name} is saved`);
    await onDone();
  };
  return (
    <Question title={`Edit ${account.name}`} verb="Save" onYes={save} onClose={onClose}>
      <RoleField value={role} onValue={setRole} />
      <SelectField
        label="State"
        value={isActive}
        onValue={setActive}
        options={STATES}
        hint="Disabling it ends its sessions, and its tokens open nothing."
      />
      <TextField
        label="New password"
        value={password}
        onValue={setPassword}
        isSecret
        autocomplete="new-password"
        hint="Empty: as it is. A new one ends its sessions."
      />
    </Question>
  );
}

function RoleField({ value, onValue }: { value: string; onValue: (value: string) => void }) {
  return (
    <SelectField
      label="Role"
      value={value}
      onValue={onValue}
      options={ROLES.map((role) => ({ value: role, label: MAY[role] }))}
    />
  );
}
