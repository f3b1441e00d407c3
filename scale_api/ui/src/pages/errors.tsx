// The catalogue of errors: whose fault each is decides whether a job is tried again.
import { useState } from "preact/hooks";
import { query, to } from "../core/address";
import { change, type Page as Rows } from "../core/api";
import { useLive } from "../core/live";
import { done } from "../core/toasts";
import { CATEGORIES, type ErrorCategory, type ScaleError } from "../core/types";
import { Question } from "../parts/dialog";
import { SelectField, TextField } from "../parts/form";
import { Empty, None, Page, Panel } from "../parts/page";
import { Category, categoryWord } from "../parts/status";
import { type Column, Table } from "../parts/table";
import { Time } from "../parts/time";

export default function Errors() {
  const order = query.value.get("order") ?? "name";
  const live = useLive<Rows<ScaleError>>(`/errors/?order=${encodeURIComponent(order)}&page_size=1000`, 15);
  const [edited, setEdited] = useState<ScaleError | "new" | null>(null);
  const columns: readonly Column<ScaleError>[] = [
    { name: "Error", cell: (error) => error.title || error.name, order: "title" },
    { name: "Name", cell: (error) => <code>{error.name}</code>, order: "name" },
    { name: "Fault of", cell: (error) => <Category category={error.category} />, order: "category", kind: "tight" },
    { name: "What it means", cell: (error) => error.description ?? <None />, kind: "wide" },
    { name: "Changed", cell: (error) => <Time at={error.last_modified} />, order: "last_modified", kind: "tight" },
    {
      name: "Edit",
      kind: "tight",
      cell: (error) =>
        error.is_builtin ? (
          <span class="tag">built in</span>
        ) : (
          <button type="button" class="slim" onClick={() => setEdited(error)}>
            Edit…<span class="unseen"> {error.name}</span>
          </button>
        ),
    },
  ];
  return (
    <Page
      title="Errors"
      lead="Job types map their exit codes to these. Faults of the system are tried again by themselves, others are not."
      actions={
        <>
          <a class="button" href={to("/jobs", { status: "FAILED" })}>
            Jobs that failed
          </a>
          <button type="button" onClick={() => setEdited("new")}>
            New error…
          </button>
        </>
      }
    >
      <Table
        caption="Errors"
        columns={columns}
        rows={live.data?.results}
        rowKey={(error) => error.id}
        order={order}
        error={live.error}
        empty={
          <Panel>
            <Empty title="There are no errors." />
          </Panel>
        }
      />
      {edited && <Edit error={edited === "new" ? null : edited} onClose={() => setEdited(null)} onDone={live.reload} />}
    </Page>
  );
}

interface EditProps {
  error: ScaleError | null;
  onClose: () => void;
  onDone: () => Promise<void>;
}

function Edit({ error, onClose, onDone }: EditProps) {
  const [name, setName] = useState(error?.name ?? "");
  const [title, setTitle] = useState(error?.title ?? "");
  const [description, setDescription] = useState(error?.description ?? "");
  const [category, setCategory] = useState<string>(error?.category ?? "ALGORITHM");
  const rest = { title, description, category };
  const save = async (): Promise<void> => {
    await (error ? change("PATCH", `/errors/${error.id}/`, rest) : change("POST", "/errors/", { name, ...rest }));
    done(error ? `${error.name} is saved` : `${name} is made`);
    await onDone();
  };
  return (
    <Question
      title={error ? `Edit ${error.name}` : "New error"}
      verb={error ? "Save" : "Make it"}
      onYes={save}
      onClose={onClose}
    >
      {!error && (
        <TextField
          label="Name"
          value={name}
          onValue={setName}
          isRequired
          maxLength={50}
          hint="By which mappings know it; it stays."
        />
      )}
      <TextField label="Title" value={title} onValue={setTitle} isRequired maxLength={50} />
      <TextField
        label="What it means"
        value={description}
        onValue={setDescription}
        isRequired
        maxLength={250}
        rows={3}
      />
      <SelectField
        label="Fault of"
        value={category}
        onValue={setCategory}
        options={CATEGORIES.map((each: ErrorCategory) => ({ value: each, label: categoryWord(each) }))}
      />
    </Question>
  );
}
