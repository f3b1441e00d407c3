// Choosing files: by number, by a part of the name, or among the newest.
import { useEffect, useState } from "preact/hooks";
import { asQuery } from "../core/address";
import { ApiError, get, type Page as Rows } from "../core/api";
import { size } from "../core/format";
import { useLive } from "../core/live";
import type { ScaleFile } from "../core/types";
import { LEAST_PART } from "./filters";
import { Field } from "./form";
import { Time } from "./time";

const NEWEST = 200;
const SHOWN = 6;
const ASKED = 50; // of which some do not fit
const TYPING_MS = 300;

interface FileFieldProps {
  label: string;
  /** As the API names it. */
  path: string;
  files: readonly ScaleFile[];
  onFiles: (files: readonly ScaleFile[]) => void;
  hasSeveral?: boolean;
  /** What is taken; empty: anything. */
  mediaTypes: readonly string[];
}

export function FileField({ label, path, files, onFiles, hasSeveral = false, mediaTypes }: FileFieldProps) {
  const [text, setText] = useState("");
  const newest = useLive<Rows<ScaleFile>>(`/files/?order=-last_modified&page_size=${NEWEST}`, 0).data?.results;
  const known = useFound(text.trim());
  const fits = (file: ScaleFile): boolean => !mediaTypes.length || mediaTypes.includes(file.media_type);
  const isNew = (file: ScaleFile): boolean => !file.is_deleted && !files.some((each) => each.id === file.id);
  const word = text.trim().toLowerCase();
  const among = (newest ?? []).filter((file) => fits(file) && file.file_name.toLowerCase().includes(word));
  const asked = known.files.filter((file) => fits(file) || isNamed(file, text.trim()));
  const found = [...new Map([...asked, ...among].map((file) => [file.id, file])).values()].filter(isNew);
  const take = (file: ScaleFile): void => {
    onFiles(hasSeveral ? [...files, file] : [file]);
    setText("");
  };
  const isOpen = hasSeveral || !files.length;
  return (
    <Field
      label={label}
      path={path}
      hint={mediaTypes.length ? `Takes ${mediaTypes.join(", ")}.` : undefined}
      class="field-wide"
    >
      {(attributes) => (
        <div class="file-field">
          {files.map((file) => (
            <p key={file.id} class="chosen-file">
              <span class="file-name">
                {file.file_name}{" "}
                <span class={fits(file) ? "quiet" : "tone-bad"}>
                  number {file.id}, {file.media_type || "unknown type"}
                </span>
              </span>
              <button type="button" class="slim" onClick={() => onFiles(files.filter((each) => each.id !== file.id))}>
                Remove<span class="unseen"> {file.file_name}</span>
              </button>
            </p>
          ))}
          <input
            {...attributes}
            type="search"
            hidden={!isOpen}
            value={text}
            placeholder="Its number or name"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              const [first] = found;
              if (first) take(first);
            }}
          />
          {isOpen && (
            <ul class="file-list" aria-label={`Files for ${label}`}>
              {found.slice(0, SHOWN).map((file) => (
                <li key={file.id}>
                  <button type="button" class="plain" onClick={() => take(file)}>
                    {file.file_name}
                  </button>{" "}
                  <span class="quiet">
                    number {file.id}, {size(file.file_size)}, {file.media_type || "unknown type"},{" "}
                    <Time at={file.created} />
                  </span>
                </li>
              ))}
              {!found.length && newest && (
                <li class="quiet">
                  {known.problem ??
                    (word
                      ? "No file that fits has this number, or a name with this in it."
                      : "No file that fits came in lately: give a number, or a part of the name.")}
                </li>
              )}
            </ul>
          )}
        </div>
      )}
    </Field>
  );
}

/** By its number or its whole name: then it is shown even where it does not fit, and the API says why. */
function isNamed(file: ScaleFile, text: string): boolean {
  return String(file.id) === text || file.file_name === text;
}

/** The file of that number, and those whose names contain the text. */
function useFound(text: string): { files: readonly ScaleFile[]; problem: string | null } {
  const [found, setFound] = useState<{ files: readonly ScaleFile[]; problem: string | null }>({
    files: [],
    problem: null,
  });
  useEffect(() => {
    setFound({ files: [], problem: null });
    if (!text) return undefined;
    let isLate = false;
    const timer = window.setTimeout(async () => {
      const files = await ask(text).catch((error: unknown) => (error instanceof ApiError ? error : []));
      if (isLate) return;
      setFound(files instanceof ApiError ? { files: [], problem: files.message } : { files, problem: null });
    }, TYPING_MS);
    return () => {
      isLate = true;
      window.clearTimeout(timer);
    };
  }, [text]);
  return found;
}

async function ask(text: string): Promise<readonly ScaleFile[]> {
  const by = text.length < LEAST_PART ? "file_name" : "file_name_part";
  const named = await get<Rows<ScaleFile>>(
    `/files/?${asQuery({ [by]: text, order: "-last_modified", page_size: ASKED })}`,
  );
  if (!/^\d{1,18}$/.test(text)) return named.results;
  const numbered = await get<ScaleFile>(`/files/${text}/`).catch((error: unknown) => {
    if (named.results.length && error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  });
  return numbered ? [numbered, ...named.results] : named.results;
}
