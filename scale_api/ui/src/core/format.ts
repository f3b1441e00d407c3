// Numbers, sizes and times as people read them.

const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(value: number): string {
  return NUMBER.format(value);
}

export function short(value: number): string {
  return value < 10_000 ? NUMBER.format(value) : SHORT.format(value);
}

/** 1 job, 2 jobs. */
export function many(value: number, one: string, several = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : several}`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.095 ? 1 : 0)} %`;
}

/** Bytes, by powers of 1024. */
export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return "–";
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1024 || unit === "TiB") return `${unit === "B" ? value : value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
    value /= 1024;
  }
  return "";
}

/** MiB as the API has them. */
export function mebibytes(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : size(Math.round(value * 1024 * 1024));
}

export function cpus(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${Number(value.toFixed(2))}`;
}

/** Seconds as "340 ms", "12.3 s", "4 min 05 s", "2 h 10 min", "3 d 4 h". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const whole = Math.round(seconds);
  if (seconds < 0.0005) return "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (whole < 3600) {
    const rest = whole % 60;
    return `${Math.floor(whole / 60)} min${rest ? ` ${String(rest).padStart(2, "0")} s` : ""}`;
  }
  if (whole < 86_400)
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** Seconds between two times of the API; undefined as long as one is missing. */
export function between(start: string | null | undefined, end: string | null | undefined): number | undefined {
  if (!start || !end) return undefined;
  return (Date.parse(end) - Date.parse(start)) / 1000;
}

/** "12 s ago", "in 40 s". */
export function relative(time: string, now: number): string {
  const seconds = (now - Date.parse(time)) / 1000;
  const near = Math.abs(seconds);
  const text =
    near < 60
      ? `${Math.round(near)} s`
      : near < 3600
        ? `${Math.floor(near / 60)} min`
        : near < 86_400
          ? `${Math.floor(near / 3600)} h`
          : `${Math.floor(near / 86_400)} d`;
  if (near < 1) return "now";
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

/** "2026-11-26 08:41:07", of this browser's time zone or of UTC. */
export function absolute(time: string | number, isUtc: boolean): string {
  const date = new Date(time);
  const part = (value: number, width = 2): string => String(value).padStart(width, "0");
  return isUtc
    ? `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`
    : `${part(date.getFullYear(), 4)}-${part(date.getMonth() + 1)}-${part(date.getDate())} ` +
        `${part(date.getHours())}:${part(date.getMinutes())}:${part(date.getSeconds())}`;
}

/** One argument for a POSIX shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
