// What each kind of workspace asks for, and how its JSON is read into a form and written from it.
import type { Broker, Reference, WorkspaceDetails } from "../core/types";

interface BrokerField {
  name: string;
  label: string;
  hint?: string;
  placeholder?: string;
  isRequired?: boolean;
  isNumber?: boolean;
  isWide?: boolean;
}

export interface Kind {
  label: string;
  fields: readonly BrokerField[];
  /** Names and labels of what is referred to; the last ones may be left out. */
  credentials: readonly { name: string; label: string; isRequired: boolean }[];
}

const SIZE: BrokerField = {
  name: "total_size",
  label: "Its size in bytes",
  isNumber: true,
  hint: "If it is known: how full it is cannot be told without.",
};
export const KINDS: Record<string, Kind> = {
  host: {
    label: "Directory of every node",
    fields: [{ name: "host_path", label: "Directory", placeholder: "/data/products", isRequired: true, isWide: true }],
    credentials: [],
  },
  nfs: {
    label: "NFS export",
    fields: [{ name: "mount", label: "Export", placeholder: "host:/exports/products", isRequired: true, isWide: true }],
    credentials: [],
  },
  s3: {
    label: "Bucket (S3)",
    fields: [
      { name: "bucket", label: "Bucket", placeholder: "archive", isRequired: true },
      { name: "prefix", label: "Path in it", placeholder: "raw" },
      { name: "region", label: "Region", placeholder: "eu-central-1" },
      {
        name: "endpoint_url",
        label: "Address",
        placeholder: "https://objects.example.org",
        hint: "Of a store that is not Amazon's.",
      },
      SIZE,
    ],
    credentials: [
      { name: "access_key_id", label: "Access key id", isRequired: true },
      { name: "secret_access_key", label: "Secret access key", isRequired: true },
      { name: "session_token", label: "Session token", isRequired: false },
    ],
  },
  ftp: {
    label: "FTP server",
    fields: [
      { name: "host", label: "Server", placeholder: "ftp.example.org", isRequired: true },
      { name: "port", label: "Port", placeholder: "21", isNumber: true },
      { name: "path", label: "Directory", placeholder: "/" },
      SIZE,
    ],
    credentials: [
      { name: "username", label: "Name", isRequired: true },
      { name: "password", label: "Password", isRequired: true },
    ],
  },
};

export interface Draft {
  name: string;
  title: string;
  description: string;
  base_url: string;
  isActive: string;
  kind: string;
  fields: Record<string, string>;
  tls: string;
  references: Record<string, { kind: string; where: string }>;
}

export const NEW: Draft = {
  name: "",
  title: "",
  description: "",
  base_url: "",
  isActive: "true",
  kind: "host",
  fields: {},
  tls: "true",
  references: {},
};

export function draftOf(workspace: WorkspaceDetails): Draft {
  const { type, credentials = {}, tls, ...fields } = workspace.json_config.broker;
  const references = Object.entries(credentials).map(([name, each]: [string, Reference]) => {
    const [kind = "", where = ""] = Object.entries(each)[0] ?? [];
    return [name, { kind, where: String(where) }];
  });
  return {
    name: workspace.name,
    title: workspace.title ?? "",
    description: workspace.description,
    base_url: workspace.base_url ?? "",
    isActive: String(workspace.is_active),
    kind: type,
    fields: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)])),
    tls: String(tls ?? true),
    references: Object.fromEntries(references),
  };
}

export function bodyOf(draft: Draft, kind: Kind) {
  const broker: Broker = { type: draft.kind };
  for (const { name, isNumber } of kind.fields) {
    const text = (draft.fields[name] ?? "").trim();
    if (text) broker[name] = isNumber && /^\d+$/.test(text) ? Number(text) : text;
  }
  if (draft.kind === "ftp") broker.tls = draft.tls === "true";
  const credentials: Record<string, Reference> = {};
  for (const { name } of kind.credentials) {
    const { kind: where, where: place } = draft.references[name] ?? { kind: "", where: "" };
    if (where) credentials[name] = { [where]: place } as Reference;
  }
  if (Object.keys(credentials).length) broker.credentials = credentials;
  return {
    name: draft.name,
    title: draft.title || null,
    description: draft.description,
    base_url: draft.base_url || null,
    is_active: draft.isActive === "true",
    json_config: { version: "1.0", broker },
  };
}
