// Answers of the REST API, as far as pages use them; its own documentation is at /docs/api/. Times are ISO 8601 texts.
import type { Role } from "./session";

export type JobStatus = "PENDING" | "BLOCKED" | "QUEUED" | "RUNNING" | "FAILED" | "COMPLETED" | "CANCELED";
export type ErrorCategory = "SYSTEM" | "ALGORITHM" | "DATA";
export const JOB_STATUSES: readonly JobStatus[] = [
  "PENDING",
  "BLOCKED",
  "QUEUED",
  "RUNNING",
  "FAILED",
  "COMPLETED",
  "CANCELED",
];
export const CATEGORIES: readonly ErrorCategory[] = ["SYSTEM", "ALGORITHM", "DATA"];

export interface Ref {
  id: number;
}

export interface Resources {
  cpus: number;
  mem: number;
  disk: number;
  gpus: number;
}

export interface Usage {
  total: Resources;
  scheduled: Resources;
  used: Resources;
}

export interface SystemStatus {
  master: { is_online: boolean; hostname: string; port: number };
  scheduler: { is_online: boolean; is_paused: boolean; hostname: string };
  queue_depth: number;
  resources?: Usage;
}

export interface JobTypeBase {
  id: number;
  name: string;
  version: string;
  title: string | null;
  description: string | null;
  category: string | null;
  is_system: boolean;
  is_long_running: boolean;
  is_active: boolean;
  is_operational: boolean;
  is_paused: boolean;
  icon_code: string | null;
}

export interface JobType extends JobTypeBase {
  author_name: string | null;
  author_url: string | null;
  uses_docker: boolean;
  docker_privileged: boolean;
  docker_image: string | null;
  revision_num: number;
  priority: number;
  timeout: number;
  max_scheduled: number | null;
  max_tries: number;
  cpus_required: number;
  mem_required: number;
  disk_out_const_required: number;
  disk_out_mult_required: number;
  gpus_required: number;
  created: string;
  archived: string | null;
  paused: string | null;
  last_modified: string;
}

export interface InterfaceInput {
  name: string;
  type: string;
  required?: boolean;
  media_types?: string[];
}

export interface InterfaceOutput {
  name: string;
  type: string;
  required?: boolean;
  media_type?: string;
}

export interface JobInterface {
  version?: string;
  command: string;
  command_arguments: string;
  input_data?: InterfaceInput[];
  output_data?: InterfaceOutput[];
}

export interface ScaleError {
  id: number;
  name: string;
  title: string | null;
  description: string | null;
  category: ErrorCategory;
  is_builtin: boolean;
  created: string;
  last_modified: string;
}

export interface TriggerRule {
  id: number;
  type: string;
  name: string;
  is_active: boolean;
  configuration: Record<string, unknown>;
  created: string;
}

export interface StatusCount {
  status: JobStatus;
  count: number;
  most_recent: string | null;
  category: ErrorCategory | null;
}

export interface JobTypeDetails extends JobType {
  interface: JobInterface;
  error_mapping: { version?: string; exit_codes?: Record<string, string> };
  trigger_rule: TriggerRule | null;
  errors: ScaleError[];
  job_counts_6h: StatusCount[];
  job_counts_12h: StatusCount[];
  job_counts_24h: StatusCount[];
}

/** Half of the values are at most p50, nineteen of twenty at most p95. */
export interface Spread {
  p50: number;
  p95: number;
  max: number;
}

/** Durations in seconds, memory and disk in MiB; null where nothing is known. */
export interface Performance {
  started: string;
  ended: string | null;
  completed: number;
  failed: number;
  canceled: number;
  failures: { error: ScaleError | null; count: number }[];
  measured: number;
  queued_s: Spread | null;
  pre_s: Spread | null;
  job_s: Spread | null;
  post_s: Spread | null;
  total_s: Spread | null;
  cpus: Spread | null;
  mem: Spread | null;
  disk_out: Spread | null;
}

export interface Revision {
  id: number;
  revision_num: number;
  created: string;
}

export interface JobTypeRevision extends Revision {
  interface: JobInterface;
}

export interface RecipeTypeRevision extends Revision {
  definition: RecipeDefinition;
}

export interface Event {
  id: number;
  type: string;
  rule: Ref | null;
  occurred: string;
}

export interface RuleWithTarget extends TriggerRule {
  job_type: JobTypeBase | null;
  recipe_type: JobTypeBase | null;
}

export interface TriggerEvent extends Event {
  /** Which of these are there depends on the type. */
  description: {
    file_id?: number;
    file_name?: string;
    ingest_ids?: number[];
    strike_id?: number;
    rule_name?: string;
    user?: string;
  };
  error: string | null;
  trace_id: string;
}

export interface TriggerEventDetails extends TriggerEvent {
  jobs: Job[];
  recipes: Recipe[];
}

export interface Job {
  id: number;
  job_type: JobTypeBase;
  job_type_rev: { id: number; job_type: Ref; revision_num: number };
  event: Event;
  error: ScaleError | null;
  status: JobStatus;
  reason: string | null;
  priority: number;
  num_exes: number;
  timeout: number;
  max_tries: number;
  cpus_required: number;
  mem_required: number;
  gpus_required: number;
  disk_in_required: number | null;
  disk_out_required: number | null;
  created: string;
  queued: string | null;
  started: string | null;
  ended: string | null;
  last_status_change: string | null;
  last_modified: string;
}

export interface ScaleFile {
  id: number;
  workspace: { id: number; name: string };
  file_name: string;
  media_type: string;
  file_size: number;
  data_type: string[];
  is_deleted: boolean;
  uuid: string;
  url: string;
  created: string;
  deleted: string | null;
  data_started: string | null;
  data_ended: string | null;
  geometry: string | null;
  center_point: string | null;
  meta_data: Record<string, unknown> | null;
  countries: string[];
  last_modified: string;
}

export interface Parameter {
  name: string;
  type: "file" | "files" | "property";
  value: string | ScaleFile | ScaleFile[] | null;
}

export interface Execution {
  id: number;
  status: Exclude<JobStatus, "PENDING" | "BLOCKED">;
  command_arguments: string;
  timeout: number;
  pre_started: string | null;
  pre_completed: string | null;
  pre_exit_code: number | null;
  job_started: string | null;
  job_completed: string | null;
  job_exit_code: number | null;
  post_started: string | null;
  post_completed: string | null;
  post_exit_code: number | null;
  created: string;
  queued: string;
  started: string | null;
  ended: string | null;
  last_modified: string;
  job: Ref;
  node: Ref | null;
  error: ScaleError | null;
  message: string;
}

export interface Recipe {
  id: number;
  recipe_type: { id: number; name: string; version: string; title: string | null; description: string | null };
  recipe_type_rev: { id: number; recipe_type: Ref; revision_num: number };
  event: Event;
  created: string;
  completed: string | null;
  last_modified: string;
}

export interface JobState {
  job_name: string;
  id: number;
  status: JobStatus;
  category: ErrorCategory | null;
  started: string | null;
  ended: string | null;
}

export interface RecipeWithJobs extends Recipe {
  jobs: JobState[];
}

export interface RecipePart {
  name: string;
  job_type: { name: string; version: string };
  recipe_inputs?: { recipe_input: string; job_input: string }[];
  dependencies?: { name: string; connections?: { output: string; input: string }[] }[];
}

export interface RecipeDefinition {
  version?: string;
  input_data?: InterfaceInput[];
  jobs: RecipePart[];
}

export interface RecipeType {
  id: number;
  name: string;
  version: string;
  title: string | null;
  description: string | null;
  is_active: boolean;
  definition: RecipeDefinition;
  revision_num: number;
  created: string;
  last_modified: string;
  archived: string | null;
  trigger_rule: Ref | null;
}

export interface RecipeTypeDetails extends Omit<RecipeType, "trigger_rule"> {
  trigger_rule: TriggerRule | null;
  job_types: (JobTypeBase & { interface: JobInterface })[];
}

export interface Provenance {
  depth: number;
  file: ScaleFile & { file_type: string; is_published: boolean; is_superseded: boolean };
  num_links: number;
  links: { file: Ref; job: (Ref & { job_type: JobTypeBase }) | null; recipe: Ref | null }[];
}

export interface RecipeJob {
  job_name: string;
  job: Job;
  recipe: Ref;
}

export interface RecipeDetails extends Recipe {
  recipe_type_rev: { id: number; recipe_type: Ref; revision_num: number; definition: RecipeDefinition };
  event: Event & { rule: (TriggerRule & Ref) | null; description: Record<string, unknown> };
  input_files: ScaleFile[];
  jobs: RecipeJob[];
}

export interface JobDetails extends Job {
  job_type: JobType;
  job_type_rev: { id: number; job_type: Ref; revision_num: number; interface: JobInterface };
  event: Event & { rule: (TriggerRule & Ref) | null; description: Record<string, unknown> };
  retry: { attempt: number; max_tries: number; next: string | null; decision: string | null };
  recipes: Recipe[];
  job_exes: Execution[];
  inputs: Parameter[];
  outputs: Parameter[];
  waiting: { position: number; reason: string } | null;
}

export interface ExecutionLogs extends Omit<Execution, "job" | "node"> {
  is_finished: boolean;
  stdout: string;
  stderr: string;
}

export interface Node {
  id: number;
  hostname: string;
  port: number;
  slave_id: string;
  pause_reason: string | null;
  is_paused: boolean;
  is_paused_errors: boolean;
  is_active: boolean;
  archived: string | null;
  created: string;
  last_offer: string | null;
  last_modified: string;
}

export interface RunningExecution extends Omit<Execution, "job"> {
  job: { id: number; job_type: JobTypeBase; status: JobStatus; priority: number; num_exes: number };
  cpus_scheduled: number | null;
  mem_scheduled: number | null;
  disk_total_scheduled: number | null;
}

export interface NodeStatus {
  node: Node;
  is_online: boolean;
  job_exe_counts: StatusCount[];
  job_exes_running: RunningExecution[];
}

export interface NodeDetails extends Node {
  job_exes_running: RunningExecution[];
  resources?: Usage;
  disconnected?: boolean;
  health?: Record<string, unknown>;
}

export interface JobTypeStatus {
  job_type: JobTypeBase;
  job_counts: StatusCount[];
}

export interface QueueStatus {
  job_type: JobTypeBase;
  count: number;
  longest_queued: string;
  highest_priority: number;
  reason: string | null;
}

export interface Queued {
  position: number;
  job_exe_id: number;
  job_id: number;
  job_type: JobTypeBase;
  priority: number;
  queued: string;
  node_required_id: number | null;
  cpus_required: number;
  mem_required: number;
  disk_total_required: number;
  gpus_required: number;
  not_before: string | null;
  reason: string;
}

export interface Load {
  time: string;
  pending_count: number;
  queued_count: number;
  running_count: number;
  total_count: number;
}

/** Jobs that ended in the hour that begins at `time`. */
export interface Outcome {
  time: string;
  status: "COMPLETED" | "FAILED" | "CANCELED";
  category: ErrorCategory | null;
  count: number;
}

export type IngestStatus =
  | "TRANSFERRING"
  | "TRANSFERRED"
  | "DEFERRED"
  | "QUEUED"
  | "INGESTING"
  | "INGESTED"
  | "ERRORED"
  | "DUPLICATE";

export interface Strike {
  id: number;
  name: string;
  title: string | null;
  description: string;
  job: (Ref & { status?: JobStatus }) | null;
  created: string;
  last_modified: string;
  last_scan: string | null;
  last_error: string | null;
  files_seen: number;
}

export interface StrikeRule {
  filename_regex: string;
  data_types: string[];
  workspace_path: string;
  workspace_name: string;
  duplicates?: string;
}

export interface StrikeDetails extends Strike {
  configuration: { version?: string; mount: string; transfer_suffix: string; files_to_ingest: StrikeRule[] };
}

export interface IngestHours {
  strike: Strike;
  most_recent: string | null;
  files: number;
  size: number;
  values: { time: string; files: number; size: number }[];
}

export interface Workspace {
  id: number;
  name: string;
  title: string | null;
  description: string;
  base_url: string | null;
  is_active: boolean;
  used_size: number | null;
  total_size: number | null;
  created: string;
  archived: string | null;
  last_modified: string;
}

export interface WorkspaceDetails extends Workspace {
  json_config: { version?: string; broker: Broker };
}

export type Reference = { env: string } | { file: string };

export interface Broker {
  type: string;
  credentials?: Record<string, Reference>;
  [field: string]: unknown;
}

export interface Account {
  id: number;
  name: string;
  role: Role;
  is_active: boolean;
  last_sign_in: string | null;
  created: string;
  last_modified: string;
}

export interface ApiToken {
  id: number;
  name: string;
  account: { id: number; name: string };
  hint: string;
  role: Role;
  scope: string[];
  created: string;
  expires: string;
  revoked: string | null;
  last_used: string | null;
  last_address: string | null;
}

/** Who changed what; `before` is null for what was made, `after` for what was removed. */
export interface AuditEntry {
  id: number;
  occurred: string;
  account_id: number | null;
  account_name: string;
  via: string;
  token_name: string;
  address: string;
  user_agent: string;
  request_id: string;
  operation: string;
  object_type: string;
  object_id: number | null;
  object_name: string;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export interface Ingest {
  id: number;
  file_name: string;
  strike: Strike;
  status: IngestStatus;
  reason: string | null;
  bytes_transferred: number;
  transfer_started: string;
  transfer_ended: string | null;
  media_type: string;
  file_size: number | null;
  data_type: string[];
  ingest_started: string | null;
  ingest_ended: string | null;
  job: Ref | null;
  source_file: ScaleFile | null;
  created: string;
  last_modified: string;
}

export interface MetricsType {
  name: string;
  title: string;
  description: string;
  groups: { name: string; title: string }[];
  columns: { name: string; title: string; description: string; units: string; group: string; aggregate: string }[];
}

export interface MetricsDetails extends MetricsType {
  choices: { id: number; name: string; title: string | null; version?: string }[];
}

export interface Plot {
  column: MetricsType["columns"][number];
  values: { id?: number; date: string; value: number }[];
}
