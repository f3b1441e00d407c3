// Figures as files: a table for spreadsheets, a picture for reports.

interface Series {
  name: string;
  tone: string;
  values: readonly (number | null)[];
}

const EDGE = 16;
const LINE = 22;

/** Commas and CRLF (RFC 4180); an empty cell where there is no figure. */
export function asCsv(first: string, keys: readonly string[], series: readonly Series[]): Blob {
  const rows = [
    [first, ...series.map((each) => cell(each.name))],
    ...keys.map((key, place) => [cell(key), ...series.map((each) => `${each.values[place] ?? ""}`)]),
  ];
  return new Blob([rows.map((row) => `${row.join(",")}\r\n`).join("")], { type: "text/csv" });
}

/** Titles are what somebody typed: one that begins as a formula must not be run by a spreadsheet. */
function cell(text: string): string {
  const safe = /^[=+@\t\r-]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The plot inside of `frame` with what it lacks elsewhere: a title, a ground, and which line is what. */
export function savePicture(name: string, frame: HTMLElement | null, title: string, series: readonly Series[]): void {
  const plot = frame?.querySelector("canvas");
  const made = document.createElement("canvas");
  const pen = made.getContext("2d");
  if (!frame || !plot || !pen) return;
  const scale = plot.width / plot.getBoundingClientRect().width;
  const head = EDGE + LINE * (1 + series.length) + EDGE / 2;
  made.width = plot.width + 2 * EDGE * scale;
  made.height = plot.height + (head + EDGE) * scale;
  const style = getComputedStyle(frame);
  pen.fillStyle = ground(frame);
  pen.fillRect(0, 0, made.width, made.height);
  pen.scale(scale, scale);
  pen.textBaseline = "middle";
  pen.fillStyle = style.color;
  pen.font = `600 16px ${style.fontFamily}`;
  pen.fillText(title, EDGE, EDGE + LINE / 2);
  pen.font = `13px ${style.fontFamily}`;
  series.forEach((each, place) => {
    const middle = EDGE + LINE * (1.5 + place);
    pen.fillStyle = colourOf(frame, each.tone);
    pen.fillRect(EDGE, middle - 2, 18, 4);
    pen.fillStyle = style.color;
    pen.fillText(each.name, EDGE + 26, middle);
  });
  pen.drawImage(plot, EDGE, head, plot.width / scale, plot.height / scale);
  made.toBlob((content) => content && save(name, content));
}

/** The first ground behind it that is not transparent. */
function ground(element: Element | null): string {
  for (let each = element; each; each = each.parentElement) {
    const { backgroundColor } = getComputedStyle(each);
    if (!/^(transparent|rgba\(0, 0, 0, 0\))$/.test(backgroundColor)) return backgroundColor;
  }
  return "white";
}

/** A canvas knows neither variables nor light-dark(): let the style sheet say what colour it is. */
export function colourOf(frame: Element, tone: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${tone})`;
  frame.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
