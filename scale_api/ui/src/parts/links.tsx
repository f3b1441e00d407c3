// Names that lead to the pages of what they name.
import { to } from "../core/address";
import { size } from "../core/format";
import type { JobTypeBase, ScaleFile } from "../core/types";

type Named = Pick<JobTypeBase, "id" | "name" | "version" | "title">;

export function JobTypeLink({ type }: { type: Named }) {
  return (
    <span class="type-name">
      <a href={to(`/job-types/${type.id}`)}>{type.title || type.name}</a> <span class="quiet">{type.version}</span>
    </span>
  );
}

export function RecipeTypeLink({ type }: { type: Named }) {
  return (
    <span class="type-name">
      <a href={to(`/recipe-types/${type.id}`)}>{type.title || type.name}</a> <span class="quiet">{type.version}</span>
    </span>
  );
}

/** A file with its size, to its page; and to be had. */
export function FileLink({ file }: { file: ScaleFile }) {
  return (
    <span class="file-name">
      <a href={to(`/files/${file.id}`)}>{file.file_name}</a>{" "}
      <span class="quiet">
        {size(file.file_size)}, {file.media_type || "unknown type"}
      </span>{" "}
      {file.is_deleted ? (
        <span class="tag">deleted</span>
      ) : (
        <a href={file.url} download={file.file_name} class="download">
          Download<span class="unseen"> {file.file_name}</span>
        </a>
      )}
    </span>
  );
}
